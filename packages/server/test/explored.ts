import { setTimeout as delay } from "node:timers/promises"
import type { Services } from "@holdfast/testkit"
import { evidence } from "@holdfast/testkit/evidence"
import {
  type Actor,
  type ClientResult,
  expectExploration,
  type Exploration,
  explore,
  type ExploreOptions,
  type Ports
} from "@holdfast/testkit/explore"
import type { RowDataPacket } from "mysql2/promise"
import { expect } from "vitest"
import { bytesOf } from "../src/platform/db/ids.ts"
import { type RunningServer, startServer } from "../src/server.ts"
import { makeRawClient, type RawClient } from "./raw-client.ts"
import { testSettings } from "./settings.ts"
import type { Shop } from "./shop.ts"

const RETRY_AFTER_MS = 250

/** A server whose statements the explorer holds and puts into an order. */
export interface ExploredServer {
  readonly server: RunningServer
  readonly call: RawClient
}

/** A promise of the shop, and callers who could break it together. */
export interface ExploredPromise {
  readonly name: string
  /** Makes goods and orders that no schedule has used yet. */
  readonly setup: () => Promise<void>
  /** What each caller does, on a server of its own. */
  readonly callers: ReadonlyArray<(server: ExploredServer) => Promise<unknown>>
  readonly actors?: ReadonlyArray<Actor>
  /** Rejects when the promise is broken. */
  readonly check: () => Promise<void>
}

/** The stores of the exploration, and the database that its servers share. */
export interface ExploredStores {
  readonly services: Services
  readonly database: string
}

/**
 * Starts a server behind these ports. It has one connection, so that the schedule alone decides what the database sees,
 * and a Redis database that no other server uses: the locks of the others do not keep it from the rows, as if Redis had
 * lost them, and MySQL alone decides.
 */
export const startBehind = async ({ database, services }: ExploredStores, sqlPort: number, nth: number) => {
  const sql = new URL(services.sql.url(database))
  sql.hostname = "127.0.0.1"
  sql.port = String(sqlPort)
  const redis = new URL(services.redis.url())
  redis.pathname = `/${nth + 1}`
  const settings = testSettings(sql.href, redis.href, { databaseConnections: 1 })
  const server = await startServer(settings, { logLevel: "None", migrates: false })
  return { server, call: patient(makeRawClient(server.url)) }
}

/**
 * A schedule can hold the server's only connection longer than the server waits for one. The call is refused then,
 * nothing is done, and the caller tries again, as the SDK does.
 */
const patient =
  (call: RawClient): RawClient =>
  async (procedure, input, options) => {
    let answer = await call(procedure, input, options)
    for (let tries = 1; tries < 20 && !answer.ok && answer.tag === "ServiceUnavailable"; tries++) {
      await delay(RETRY_AFTER_MS)
      answer = await call(procedure, input, options)
    }
    return answer
  }

/**
 * Explores the orders in which the database can see the statements of the callers: all when there are few, else
 * `schedules` of them. Expects that no order breaks the promise, and that the database has done the work.
 */
export async function explorePromise(
  stores: ExploredStores,
  { actors = [], callers, check, name, setup }: ExploredPromise,
  options: ExploreOptions
): Promise<Exploration> {
  const scenario = {
    name,
    upstreams: { sql: stores.services.sql },
    clients: callers.length,
    connect: ({ sql }: Ports, client: number) => startBehind(stores, sql, client),
    disconnect: ({ server }: ExploredServer) => server.stop(),
    setup,
    run: (server: ExploredServer, client: number) => callers[client]!(server),
    // Ids, times, tokens and sums are new in each schedule.
    label: (text: string) =>
      text.replaceAll(/[\da-f]{8}-[\da-f-]{27}|X'[\da-f]*/g, "<id>").replaceAll(/\d+/g, "0"),
    actors,
    check: async (results: ReadonlyArray<ClientResult<unknown>>) => {
      const failed = results.find((result) => result.status === "rejected")
      if (failed?.status === "rejected") throw failed.reason
      await check()
      return undefined
    }
  }
  const found = await evidence(stores.services).around(() => explore(scenario, options))
  const exploration = found.value
  // Two timers of a server read the database's clock and the open sessions, whatever the schedule.
  expectExploration(exploration).safe({ allowNondeterminism: true })
  found.toShow({ sql: { begin: { atLeast: exploration.schedules } } })
  console.info(
    `${name}: ${exploration.schedules} schedules${exploration.exhaustive ? ", all there are" : ""} in ${Math.round(exploration.elapsedMs)} ms`
  )
  expect(exploration.schedules).toBeGreaterThan(1)
  return exploration
}

/** At any step the order's time is up, unless a transaction holds it. */
export const timeIsUp = (shop: Shop, orderId: () => string): Actor => ({
  name: "the time is up",
  run: async () => {
    const id = bytesOf(orderId())
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    const [free] = await connection.query<Array<RowDataPacket>>(
      "SELECT id FROM orders WHERE id = ? FOR UPDATE SKIP LOCKED",
      [id]
    )
    if (free.length > 0)
      await connection.query("UPDATE orders SET expires_at = '2001-01-01' WHERE id = ?", [id])
    await connection.commit()
    connection.release()
  }
})
