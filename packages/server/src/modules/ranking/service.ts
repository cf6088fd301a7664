import { contract, PAGE_SIZE, TOP_SELLER_DAYS, TopSellers } from "@holdfast/domain"
import { Effect } from "effect"
import { Cache } from "../../platform/cache/cache.ts"
import { makingOnce } from "../../platform/cache/shared.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import { askRedis } from "@holdfast/locks"
import { query } from "../../platform/trpc/handler.ts"
import { productNames } from "../catalog/service.ts"
import { soldSince } from "./repository.ts"
import { lastDays, RANKING_TAG, startOf, topOf, rankingPrefix } from "./ranking-store.ts"

const topOnce = makingOnce<TopSellers>()

export const topSellers = query(
  contract.products.topSellers,
  Effect.fnUntraced(function* ({ input }) {
    const cache = yield* Cache
    const { nowMs } = yield* DatabaseClock
    const days = lastDays(nowMs(), TOP_SELLER_DAYS)
    const name = `top:${days.at(-1)}`
    const load = () => Effect.map(rank(days, PAGE_SIZE.maximum), (ranking) => new Map([[name, ranking]]))
    const cached = yield* cache.getMany(TopSellers, [{ name, tag: RANKING_TAG }], load)
    const all = cached.get(name)!
    const limit = input.limit ?? PAGE_SIZE.default
    return topOnce([all], limit, () => ({ ...all, products: all.products.slice(0, limit) }))
  })
)

const rank = Effect.fnUntraced(function* (days: ReadonlyArray<string>, limit: number) {
  const sold = yield* soldInRedis(days, limit).pipe(
    Effect.catchTag("RedisUnavailable", () => Effect.succeed(undefined)),
    Effect.flatMap((ranking) =>
      ranking === undefined ? soldSince(startOf(days[0]!), limit) : Effect.succeed(ranking)
    )
  )
  const names = yield* productNames(sold.map(({ sku }) => sku))
  const answer: TopSellers = {
    from: days[0]!,
    to: days.at(-1)!,
    products: sold.map(({ sku, units }) => ({ sku, name: names.get(sku) ?? sku, unitsSold: units }))
  }
  return answer
})

/** Falls back to the database while a day is incomplete or Redis is away. */
const soldInRedis = Effect.fnUntraced(function* (days: ReadonlyArray<string>, limit: number) {
  const name = yield* rankingPrefix
  return yield* askRedis((client) => topOf(client, name, days, limit))
})
