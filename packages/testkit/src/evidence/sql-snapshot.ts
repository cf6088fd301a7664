import { readFile } from "node:fs/promises"
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import { withDeadline } from "../race/deadline.ts"
import type { ServerAddressFields } from "./address.ts"
import type { Snapshot } from "./snapshot.ts"

const answerDeadlineMs = 5_000

/** One SHOW VARIABLES and one SHOW STATUS a snapshot; the latter counts itself. */
export const ownSqlCommands = { show_variables: 1, show_status: 1, questions: 2, queries: 2 }

/** Beside `Com_...`, which keep their name without the prefix: what a storage engine did, however it was asked. */
const otherCounters = [
  "Questions",
  "Queries",
  "Handler_commit",
  "Handler_rollback",
  "Handler_update",
  "Handler_delete"
]

const identityVariables = ["version", "version_comment", "hostname", "server_uuid", "server_uid", "pid_file"]

/** Reads the server's own counters (`SHOW GLOBAL STATUS`) over a connection of its own. */
export const sqlSnapshot = async (address: ServerAddressFields): Promise<Snapshot> => {
  const { host, port, user, password } = address
  const silent = () =>
    new Error(`the SQL server at ${host}:${port} did not answer within ${answerDeadlineMs} ms`)
  const connecting = createConnection({
    host,
    port,
    connectTimeout: answerDeadlineMs,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password })
  })
  const connection = await connecting
  connection.on("error", () => {})
  try {
    return await withDeadline(readSnapshot(connection, address), answerDeadlineMs, silent)
  } finally {
    connection.destroy()
  }
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

/** SQL knows no process id, but a server on this machine has written it to a file. Docker names a host by its id. */
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
