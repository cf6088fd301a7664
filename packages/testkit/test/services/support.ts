import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Redis } from "ioredis"
import { createConnection, type RowDataPacket } from "mysql2/promise"
export { processExists } from "../../src/services/native/owner.ts"
import { temporaryBase } from "../../src/services/settings.ts"

/** Runs one statement on a connection of its own and gives the rows. */
export async function query(url: string, sql: string): Promise<ReadonlyArray<RowDataPacket>> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 })
  connection.on("error", () => {})
  try {
    const [rows] = await connection.query<Array<RowDataPacket>>(sql)
    return rows
  } finally {
    connection.destroy()
  }
}

/** A client that fails at once instead of reconnecting. */
export async function withClient<A>(url: string, use: (client: Redis) => Promise<A>): Promise<A> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on("error", () => {})
  try {
    await client.connect()
    return await use(client)
  } finally {
    client.disconnect()
  }
}

/** A place of its own for the temporary data of one test file, so that it sees what it left and nothing else. */
export function ownTemporaryBase() {
  const base = mkdtempSync(join(temporaryBase(), "testkit-"))
  process.env["HOLDFAST_TMPDIR"] = base
  return {
    list: () => readdirSync(base),
    remove: () => {
      delete process.env["HOLDFAST_TMPDIR"]
      rmSync(base, { recursive: true, force: true })
    }
  }
}

/** Resolves with the time until the condition held, in milliseconds; rejects after the deadline. */
export async function until(what: string, deadlineMs: number, condition: () => boolean): Promise<number> {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > deadlineMs) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await new Promise((wake) => setTimeout(wake, 2))
  }
  return performance.now() - start
}

/** Sets variables (undefined: unsets them) while `use` runs. */
export async function withEnvironment<A>(
  variables: Readonly<Record<string, string | undefined>>,
  use: () => Promise<A>
): Promise<A> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  const assign = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  for (const [name, value] of Object.entries(variables)) assign(name, value)
  try {
    return await use()
  } finally {
    for (const [name, value] of before) assign(name, value)
  }
}
