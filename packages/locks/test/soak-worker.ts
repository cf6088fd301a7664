/** A process of the soak: books under the lock until it is stopped, and reports the outcome of each try to its parent. */
import { Effect, Layer, Redacted } from "effect"
import { createPool } from "mysql2/promise"
import { namedLocks } from "../src/backends/mysql.ts"
import { withLock } from "../src/with-lock.ts"
import { book, inTransaction, Transactions, transactionsOf } from "./books.ts"
import { member, soaked } from "./members.ts"

/** The settings of a worker. */
export interface WorkerOrders {
  readonly redisUrl: string
  readonly mysqlUrl: string
  readonly keys: ReadonlyArray<string>
  readonly longestPauseMs: number
}

const orders: WorkerOrders = JSON.parse(process.argv[2] ?? "{}")

const pool = createPool({ uri: orders.mysqlUrl, connectionLimit: 4, connectTimeout: 2_000 })
const layer = Layer.succeed(Transactions, transactionsOf(pool))
const { close, run } = member(orders.redisUrl, {
  answerWithinMs: 150,
  fallbackMs: 100,
  namedLocks: namedLocks({ url: Redacted.make(orders.mysqlUrl), connections: 8, answerWithinMs: 1_000 })
})

/** Pauses let faults hit at any point. */
const pause = Effect.suspend(() => Effect.sleep(Math.random() * orders.longestPauseMs))

const bookOnce = (key: string) =>
  withLock(
    soaked,
    key
  )(Effect.andThen(pause, inTransaction(book(soaked.key(key)).pipe(Effect.tap(() => pause))))).pipe(
    Effect.as("Committed"),
    Effect.catch((error) => Effect.succeed(error._tag)),
    Effect.provide(layer)
  )

const ending = new AbortController()
const worker = async () => {
  for (let turn = 0; !ending.signal.aborted; turn += 1) {
    const outcome = await run(bookOnce(orders.keys[turn % orders.keys.length] ?? ""))
    process.send?.(outcome)
    if (outcome !== "Committed") await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

process.on("message", (message) => {
  if (message === "stop") ending.abort()
})
process.once("disconnect", () => process.exit(ending.signal.aborted ? 0 : 1))
await Promise.all([worker(), worker()])
await close()
await pool.end()
process.disconnect()
