import { type OrderId, TOP_SELLER_DAYS } from "@holdfast/domain"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { invalidate } from "../../platform/cache/cache.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import { askRedis } from "@holdfast/locks"
import type { Job } from "../../platform/jobs/runner.ts"
import { attemptEach } from "../../platform/jobs/set-aside.ts"
import { salesBetween } from "./repository.ts"
import {
  COMPLETE_S,
  count,
  endOf,
  expiryOf,
  IS_COMPLETE,
  lastDays,
  RANKING_TAG,
  rankingKeys,
  startOf,
  rankingPrefix
} from "./ranking-store.ts"

/** Sales that are read at once. */
const PAGE = 1_000

/** A rebuild that has not read a page for this long counts as dead, and another process may start one. */
const REBUILD_PAUSE_S = 60

const JOB = "ranking reconciler"

/** A run rebuilds three days at most, and has a minute. */
const WITHIN_MS = 18_000

/** KEYS: complete, counted, sold. */
const LOOK = `${IS_COMPLETE}
return isComplete(KEYS[1], KEYS[2], KEYS[3]) and 1 or 0`

/**
 * Starts empty: when one key is lost, the other two are no longer right. A rebuild key that lives longer than a rebuild
 * may pause is not a rebuild's. KEYS: complete, counted, sold, rebuild. ARGV:
 * the mark, how long it lives without a page in seconds, when the keys expire.
 */
const BEGIN = `
local leftS = redis.call('TTL', KEYS[4])
if leftS >= 0 and leftS <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[4], ARGV[1], 'EX', ARGV[2])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 1, ARGV[1])
redis.call('EXPIREAT', KEYS[2], ARGV[3])
redis.call('EXPIREAT', KEYS[3], ARGV[3])
return 1`

/** Ends the rebuild if it is still this one. KEYS: rebuild. ARGV: the mark. */
const END = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/** Ends the rebuild and marks the day complete. KEYS: rebuild, complete. ARGV: the mark, for how long it counts. */
const COMPLETE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return redis.call('DEL', KEYS[1])`

/**
 * Completes the days of the ranking: a new day, a day that lost a key or was completed an hour ago, a fresh Redis. It counts every sale in the
 * database while the projector goes on; a sale that both count is counted once.
 */
export const rankingReconciler = {
  name: JOB,
  intervalMs: 10_000,
  run: Effect.gen(function* () {
    const { nowMs } = yield* DatabaseClock
    const name = yield* rankingPrefix
    const days = lastDays(nowMs(), TOP_SELLER_DAYS)
    const known = yield* askRedis((client) =>
      Promise.all(
        days.map((day) => {
          const { complete, counted, sold } = rankingKeys(name, day)
          return client.eval(LOOK, 3, complete, counted, sold)
        })
      )
    )
    const missing = days.filter((_, index) => known[index] === 0)
    return yield* attemptEach(missing, {
      job: JOB,
      keyOf: (day) => Buffer.from(day),
      handle: (day) => Effect.as(rebuildDay(name, day), 0),
      concurrency: 1,
      withinMs: WITHIN_MS
    })
  })
} satisfies Job<unknown>

/** One process at a time, so that no rebuild empties the keys that another one is about to complete. */
const rebuildDay = Effect.fnUntraced(function* (prefix: string, day: string) {
  const { complete, counted, rebuild, sold } = rankingKeys(prefix, day)
  const mark = `rebuild ${randomUUID()}`
  const expiresAt = expiryOf(day, TOP_SELLER_DAYS + 1)
  const isOurs = yield* askRedis((client) =>
    client.eval(BEGIN, 4, complete, counted, sold, rebuild, mark, REBUILD_PAUSE_S, expiresAt)
  )
  if (isOurs === 0) return
  const sales = yield* countDay(prefix, day).pipe(
    Effect.onError(() => Effect.ignore(askRedis((client) => client.eval(END, 1, rebuild, mark))))
  )
  yield* askRedis((client) => client.eval(COMPLETE, 2, rebuild, complete, mark, completeS()))
  yield* invalidate([RANKING_TAG])
  yield* Effect.logInfo("the ranking of a day was rebuilt", { day, sales })
})

/** Jitter, so that the days are not counted anew all at once. */
const completeS = () => Math.round(COMPLETE_S * (0.5 + Math.random() / 2))

/** Reads the sales after the rebuild started, so whatever it discarded is committed and read here. */
const countDay = Effect.fnUntraced(function* (prefix: string, day: string) {
  let after: OrderId | undefined
  let counted = 0
  while (true) {
    const sales = yield* salesBetween(startOf(day), endOf(day), after, PAGE)
    yield* askRedis((client) =>
      Promise.all([
        client.expire(rankingKeys(prefix, day).rebuild, REBUILD_PAUSE_S),
        ...sales.map(async (sale) => {
          await count(client, prefix, day, sale, "paid")
          if (sale.refundedAt !== undefined) await count(client, prefix, day, sale, "refunded")
        })
      ])
    )
    counted += sales.length
    after = sales.at(-1)?.orderId
    if (sales.length < PAGE) return counted
  }
})

/** Deletes the ranking of the last days; the reconciler rebuilds it from the database. */
export const forgetRanking = Effect.gen(function* () {
  const { nowMs } = yield* DatabaseClock
  const name = yield* rankingPrefix
  const days = lastDays(nowMs(), TOP_SELLER_DAYS)
  const keys = days.flatMap((day) => Object.values(rankingKeys(name, day)))
  yield* askRedis((client) => client.del(...keys))
})
