import { randomUUID } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Redis } from "ioredis"
import { createConnection, type RowDataPacket } from "mysql2/promise"
export { processExists } from "../../src/services/owner.ts"
import { beforeAll } from "vitest"
import { engine } from "../../src/services/docker/engine.ts"
import { messageOf } from "../../src/internal/message-of.ts"
import { findRedis, findSql } from "../../src/services/native/installation.ts"
import type { Source } from "../../src/services/service.ts"
import { temporaryBase } from "../../src/services/settings.ts"

/** Runs one statement on a new connection and returns its rows. */
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

/** Runs `use` with a client that fails at once instead of reconnecting. */
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

/** Variables that choose a source; tests that choose their own unset them. */
const CHOICES = [
  "HOLDFAST_SOURCE",
  "HOLDFAST_SQL_KIND",
  "HOLDFAST_REDIS_KIND",
  "HOLDFAST_MYSQL_URL",
  "HOLDFAST_REDIS_URL"
]

/**
 * For a test file about certain sources. Unsets the variables that choose one. Returns false, and prints a line, in a
 * run that is forced to another source; a run that is forced to theirs, or to none, runs the tests.
 */
export function concerns(...about: ReadonlyArray<Source>): boolean {
  const forced = process.env["HOLDFAST_SOURCE"] ?? ""
  for (const name of CHOICES) delete process.env[name]
  const concerned = forced === "" || about.some((source) => source === forced)
  if (!concerned) console.warn(`The tests of ${about.join(", ")} are left out: HOLDFAST_SOURCE=${forced}.`)
  return concerned
}

/** The source of private servers: installed programs, else unpacked packages. The same code runs both. */
export async function privateSource(): Promise<"native" | "packages"> {
  const [sql, redis] = await Promise.all([findSql("any"), findRedis("any")])
  if (sql !== undefined && redis !== undefined) return "native"
  console.warn("No servers are installed here: the tests of private servers run on unpacked ones.")
  return "packages"
}

/**
 * Whether to run the tests of source docker: when an engine answers, and also when one is required (continuous
 * integration, HOLDFAST_REQUIRE_DOCKER), so that they fail there without one.
 */
export async function dockerIsWanted(): Promise<boolean> {
  const missing = await engine().then(() => undefined, messageOf)
  const required = process.env["CI"] === "true" || (process.env["HOLDFAST_REQUIRE_DOCKER"] ?? "") !== ""
  if (missing === undefined || required) return true
  console.warn(`The tests of source docker are skipped: ${missing}`)
  return false
}

/** Whether the tests of source packages can run: on Debian and its derivatives. */
export function packagesAreHere(): boolean {
  const debian = existsSync("/usr/bin/apt-get") && existsSync("/usr/bin/dpkg-deb")
  if (!debian) console.warn("The tests of source packages are skipped: this is not Debian or Ubuntu.")
  return debian
}

/** A private directory for the temporary data of one test file, so that it sees only what it left itself. */
export function ownTemporaryBase() {
  const base = join(temporaryBase(), `testkit-${randomUUID()}`)
  process.env["HOLDFAST_TMPDIR"] = base
  // In a hook, because vitest runs no hooks in a file whose tests are all skipped, which then leaves nothing behind.
  beforeAll(() => {
    mkdirSync(base)
  })
  return { list: () => readdirSync(base), remove: () => rmSync(base, { recursive: true, force: true }) }
}

/** Resolves with the milliseconds until the condition held; rejects at the deadline. */
export async function until(what: string, deadlineMs: number, condition: () => boolean): Promise<number> {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > deadlineMs) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await new Promise((wake) => setTimeout(wake, 2))
  }
  return performance.now() - start
}

/** Sets variables while `use` runs; undefined unsets one. */
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
