import type { VerifyReport } from "@holdfast/server"
import { startServices } from "@holdfast/testkit"
import { createHmac } from "node:crypto"
import { audit } from "../shop/audit.ts"
import { dataDirectory, keptSecret } from "../shop/data-directory.ts"
import { ensureDatabase } from "../shop/database.ts"
import { startServerProcess } from "../shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL, UNPAID_AT_WILL } from "../shop/settings.ts"
import type { Plan } from "./plan.ts"
import type { Shop } from "./calls.ts"

/** A shop that is ready for a replay. */
export interface OpenShop extends Shop {
  /** Audits its database; absent when the database is not known. */
  readonly audit: (() => Promise<VerifyReport>) | undefined
  /** Rejects when the server cannot be restarted any more; never resolves. */
  readonly failed: Promise<never>
  readonly close: () => Promise<void>
}

export interface OpenOptions {
  readonly plan: Plan
  /** Names the replay, and its database. */
  readonly runId: string
  /** Drops the database of an earlier run of the same replay. */
  readonly fresh: boolean
  readonly note: (line: string) => void
}

/** The environment or the flags do not fit together. The message says what to change. */
class ShopError extends Error {
  override readonly name = "ShopError"
}

/** Opens the shop that `HOLDFAST_URL` names, else one of its own. */
export const openShop = (options: OpenOptions): Promise<OpenShop> => {
  const url = process.env["HOLDFAST_URL"]
  return url === undefined || url === "" ? openOwnShop(options) : openRunningShop(url, options)
}

const openRunningShop = async (url: string, { fresh, note, runId }: OpenOptions): Promise<OpenShop> => {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new ShopError(`HOLDFAST_URL=${url} is not a URL that starts with http:// or https://`)
  const {
    HOLDFAST_ADMIN_EMAIL: email,
    HOLDFAST_ADMIN_PASSWORD: password,
    HOLDFAST_MYSQL_URL: mysqlUrl
  } = process.env
  if (!email || !password)
    throw new ShopError(
      "a running server (HOLDFAST_URL) needs HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD too"
    )
  if (fresh) throw new ShopError("--fresh drops a database, so it works without HOLDFAST_URL only")
  if (!mysqlUrl)
    note(
      "the server's database is not audited: set HOLDFAST_MYSQL_URL to it, or run `holdfast verify` beside it"
    )
  return {
    url,
    runId,
    admin: { email, password },
    audit: mysqlUrl ? () => audit(mysqlUrl) : undefined,
    failed: new Promise(() => {}),
    close: () => Promise.resolve()
  }
}

/** Starts stores and a server process on the data of this replay. The server is restarted when it dies. */
const openOwnShop = async ({ fresh, note, plan, runId }: OpenOptions): Promise<OpenShop> => {
  const directory = dataDirectory("replay")
  const secret = keptSecret(directory)
  const services = await startServices({ dataDirectory: directory, onProgress: note })
  try {
    const database = `replay_${runId}`
    if (fresh) await services.sql.dropDatabase(database)
    const isKnown = await ensureDatabase(services.sql, database)
    note(isKnown ? `continuing in database ${database}` : `made database ${database}`)
    const mysqlUrl = services.sql.url(database)
    const admin = { email: "admin@replay.example", password: passwordOf(secret) }
    const server = await startServerProcess({
      environment: settingsOf(plan, { admin, mysqlUrl, redisUrl: services.redis.url(), secret }),
      onRestart: (pid) => note(`the server ended; started it again (process ${pid})`)
    })
    note(`server process ${server.pid()} on ${server.url}`)
    const close = async () => {
      await server.stop()
      await services.stop()
    }
    return { url: server.url, runId, admin, audit: () => audit(mysqlUrl), failed: server.failed, close }
  } catch (error) {
    await services.stop()
    throw error
  }
}

const passwordOf = (secret: string): string =>
  createHmac("sha256", secret).update("administrator").digest("base64url")

interface Addresses {
  readonly admin: { readonly email: string; readonly password: string }
  readonly mysqlUrl: string
  readonly redisUrl: string
  readonly secret: string
}

/**
 * A production server's settings, with four exceptions. The limits admit the largest invoice of the file, and one machine
 * plays all customers. Orders and
 * answers last a year, so that an interrupted replay can continue. Password hashes are cheap, because thousands of
 * sign-ups would otherwise take most of the time.
 */
const settingsOf = (
  plan: Plan,
  { admin, mysqlUrl, redisUrl, secret }: Addresses
): Record<string, string> => ({
  ...ONE_MACHINE_PLAYS_ALL,
  ...UNPAID_AT_WILL,
  HOLDFAST_MYSQL_URL: mysqlUrl,
  HOLDFAST_REDIS_URL: redisUrl,
  HOLDFAST_SECRET: secret,
  HOLDFAST_ADMIN_EMAIL: admin.email,
  HOLDFAST_ADMIN_PASSWORD: admin.password,
  HOLDFAST_ORDER_MAX_LINES: String(largest(plan, ({ lines }) => lines.length, DEFAULT_MAXIMUM_LINES)),
  HOLDFAST_ORDER_MAX_QUANTITY: String(
    largest(plan, ({ lines }) => Math.max(...lines.map(({ quantity }) => quantity)), DEFAULT_MAXIMUM_QUANTITY)
  ),
  HOLDFAST_ORDER_EXPIRES_AFTER: "365 days",
  HOLDFAST_RETENTION: "365 days",
  HOLDFAST_ARGON2_MEMORY_KIB: "8",
  HOLDFAST_ARGON2_ITERATIONS: "1"
})

const DEFAULT_MAXIMUM_LINES = 2_000
const DEFAULT_MAXIMUM_QUANTITY = 100_000

const largest = (plan: Plan, measure: (order: Plan["orders"][number]) => number, atLeast: number): number =>
  plan.orders.reduce((maximum, order) => Math.max(maximum, measure(order)), atLeast)
