import { type OrderId, TOP_SELLER_DAYS } from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { invalidate } from "../../cache/Cache.ts"
import { Installation } from "../../db/Installation.ts"
import { askRedis } from "../../redis/ask.ts"
import type { Worker } from "../../workers/Worker.ts"
import { count } from "./counting.ts"
import { endOf, expiryOf, lastDays, RANKING_TAG, rankingKeys, startOf } from "./keys.ts"
import { salesBetween } from "./queries.ts"

/** Sales that are read at once. */
const PAGE = 1_000

/** KEYS: complete, rebuild. ARGV: the rebuild's name, when the keys vanish. */
const COMPLETE = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 1, 'EXAT', ARGV[2])
redis.call('DEL', KEYS[2])
return 1`

/**
 * Makes the days of the ranking complete: a new day, one that a Redis without memory forgot, a fresh Redis. It counts
 * all sales that the database knows, beside the projector, which may be counting the same ones: each counts once.
 */
export const rankingReconciler = {
  name: "ranking reconciler",
  everyMs: 1_000,
  round: Effect.gen(function* () {
    const { prefix } = yield* Installation
    const name = yield* prefix
    const days = lastDays(yield* Clock.currentTimeMillis, TOP_SELLER_DAYS)
    const known = yield* askRedis((client) =>
      Promise.all(days.map((day) => client.exists(rankingKeys(name, day).complete)))
    )
    const missing = days.filter((_, index) => known[index] === 0)
    yield* Effect.forEach(missing, (day) => completeDay(name, day), { discard: true })
    return 0
  })
} satisfies Worker<unknown>

/** The rebuild's own key is written before the first sale is read: when Redis forgets that, it forgot sales as well. */
const completeDay = Effect.fnUntraced(function* (prefix: string, day: string) {
  const keys = rankingKeys(prefix, day)
  const rebuild = randomUUID()
  yield* askRedis((client) => client.set(keys.rebuild, rebuild, "EX", 3_600))
  let after: OrderId | undefined
  let counted = 0
  while (true) {
    const sales = yield* salesBetween(startOf(day), endOf(day), after, PAGE)
    yield* askRedis((client) =>
      Promise.all(
        sales.map(async (sale) => {
          await count(client, prefix, day, sale, "paid")
          if (sale.refundedAt !== undefined) await count(client, prefix, day, sale, "refunded")
        })
      )
    )
    counted += sales.length
    after = sales.at(-1)?.orderId
    if (sales.length < PAGE) break
  }
  const expiresAt = expiryOf(day, TOP_SELLER_DAYS + 1)
  yield* askRedis((client) => client.eval(COMPLETE, 2, keys.complete, keys.rebuild, rebuild, expiresAt))
  yield* invalidate([RANKING_TAG])
  yield* Effect.logInfo("the ranking of a day was rebuilt", { day, counted })
})

/** Forgets the ranking of the last days; the reconciler makes it anew from the database. */
export const forgetRanking = Effect.gen(function* () {
  const { prefix } = yield* Installation
  const name = yield* prefix
  const days = lastDays(yield* Clock.currentTimeMillis, TOP_SELLER_DAYS)
  const keys = days.flatMap((day) => Object.values(rankingKeys(name, day)))
  yield* askRedis((client) => client.del(...keys))
})
