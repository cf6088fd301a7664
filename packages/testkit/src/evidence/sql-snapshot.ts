import { readFile } from "node:fs/promises"
import type { Connection, RowDataPacket } from "mysql2/promise"
import { withSql } from "../services/clients.ts"
import type { ServerAddressFields } from "./address.ts"
import type { Snapshot } from "./snapshot.ts"

const answerDeadlineMs = 5_000

/** A snapshot sends one SHOW VARIABLES and one SHOW STATUS; the latter counts itself. */
export const ownSqlCommands = { show_variables: 1, show_status: 1, questions: 2, queries: 2 }

/** Counters besides `Com_...`. The handler counters show what the storage engine did, whatever the statement. */
const otherCounters = [
  "Questions",
  "Queries",
  "Handler_commit",
  "Handler_rollback",
  "Handler_update",
  "Handler_delete"
]

const identityVariables = ["version", "version_comment", "hostname", "server_uuid", "server_uid", "pid_file"]

/** Reads the server's counters (`SHOW GLOBAL STATUS`) over a separate connection. */
export const sqlSnapshot = (address: ServerAddressFields): Promise<Snapshot> => {
  const { host, port, user = "", password = "" } = address
  const read = (connection: Connection) => readSnapshot(connection, address)
  return withSql({ host, port, user, password }, read, answerDeadlineMs)
}

const readSnapshot = async (connection: Connection, address: ServerAddressFields): Promise<Snapshot> => {
  const variables = await readPairs(connection, `SHOW GLOBAL VARIABLES WHERE ${oneOf(identityVariables)}`)
  const status = await readPairs(
    connection,
    `SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Com\\_%' OR ${oneOf([...otherCounters, "Uptime"])}`
  )
  const counts = new Map<string, number>()
  for (const [name, value] of status)
    if (name !== "Uptime") counts.set(name.replace(/^Com_/, "").toLowerCase(), Number(value))
  const version = variables.get("version") ?? "unknown"
  const id = variables.get("server_uuid") ?? variables.get("server_uid") ?? ""
  return {
    identity: {
      kind: /mariadb/i.test(`${version} ${variables.get("version_comment")}`) ? "mariadb" : "mysql",
      version,
      host: address.host,
      port: address.port,
      id,
      ...(await processOf(address, variables))
    },
    life: id,
    uptimeSeconds: Number(status.get("Uptime") ?? 0),
    counts
  }
}

const oneOf = (names: ReadonlyArray<string>) =>
  `Variable_name IN (${names.map((name) => `'${name}'`).join(", ")})`

const readPairs = async (connection: Connection, sql: string): Promise<Map<string, string>> => {
  const [rows] = await connection.query<Array<RowDataPacket>>(sql)
  return new Map(rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]))
}

/** SQL does not expose the process id, but a local server writes it to a file, and Docker names a host by its id. */
const processOf = async (
  { identity }: ServerAddressFields,
  variables: ReadonlyMap<string, string>
): Promise<{ readonly pid?: number; readonly containerId?: string }> => {
  if (identity?.pid !== undefined || identity?.containerId !== undefined) return identity
  const hostname = variables.get("hostname") ?? ""
  if (/^[0-9a-f]{12}$/.test(hostname)) return { containerId: hostname }
  const text = await readFile(variables.get("pid_file") ?? "", "utf8").catch(() => "")
  const pid = Number.parseInt(text, 10)
  return Number.isNaN(pid) ? {} : { pid }
}
