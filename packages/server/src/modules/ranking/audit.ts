import { type OrderId, TOP_SELLER_DAYS } from "@holdfast/domain"
import { Effect, Option } from "effect"
import type { Findings } from "../../platform/audit/report.ts"
import { databaseNow } from "../../platform/db/database-clock.ts"
import { KeyNamespace } from "../../platform/db/key-namespace.ts"
import { RedisStore } from "@holdfast/locks"
import { type Sale, salesBetween } from "./repository.ts"
import { endOf, IS_COMPLETE, lastDays, rankingKeys, startOf, rankingPrefix } from "./ranking-store.ts"

/** How long an event may take from its commit into the ranking before its absence is a fault. */
const ARRIVES_WITHIN_MS = 60_000

const PAGE = 5_000

/**
 * Compares the ranking with the database, also during a sale: the counts are the sum of exactly the happenings that
 * Redis has counted, each of those is in the database, and every sale of the database is counted unless it is too young.
 * `undefined`: there is no Redis or no complete ranking to audit.
 */
export const auditRanking = Effect.gen(function* () {
  const store = yield* Effect.serviceOption(RedisStore)
  const keyNamespace = yield* Effect.serviceOption(KeyNamespace)
  if (Option.isNone(store) || Option.isNone(keyNamespace)) return undefined
  const prefix = yield* Effect.provideService(rankingPrefix, KeyNamespace, keyNamespace.value)
  const nowMs = (yield* databaseNow).getTime()
  const problems: Array<Record<string, unknown>> = []
  let checked = 0
  for (const day of lastDays(nowMs, TOP_SELLER_DAYS)) {
    const ranking = yield* readDay(store.value, prefix, day)
    if (ranking === undefined) return undefined
    const sales = yield* allSales(day)
    checked += sales.length
    problems.push(...problemsOf(day, ranking, sales, nowMs - ARRIVES_WITHIN_MS))
  }
  return { checked, problems } satisfies Findings
})

interface DayInRedis {
  readonly counted: ReadonlySet<string>
  readonly unitsOfSku: ReadonlyMap<string, number>
}

/** Both sets in one step, for the projector changes them in one. */
const readDay = ({ client }: RedisStore["Service"], prefix: string, day: string) =>
  Effect.tryPromise(async (): Promise<DayInRedis | undefined> => {
    const keys = rankingKeys(prefix, day)
    const reply = (await client.eval(
      `${IS_COMPLETE}
       if not isComplete(KEYS[1], KEYS[2], KEYS[3]) then return false end
       return {redis.call('GET', KEYS[1]), redis.call('SMEMBERS', KEYS[2]), redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')}`,
      3,
      keys.complete,
      keys.counted,
      keys.sold
    )) as [string, ReadonlyArray<string>, ReadonlyArray<string>] | null
    if (reply === null) return undefined
    const [mark, counted, scores] = reply
    const units = new Map(
      scores.flatMap((sku, at) => (at % 2 === 0 ? [[sku, -Number(scores[at + 1])] as const] : []))
    )
    units.delete(mark)
    return { counted: new Set(counted.filter((name) => name !== mark)), unitsOfSku: units }
  }).pipe(Effect.catch(() => Effect.succeed(undefined)))

/** Read after Redis: whatever was counted is committed by now. */
const allSales = Effect.fnUntraced(function* (day: string) {
  const sales: Array<Sale> = []
  let after: OrderId | undefined
  while (true) {
    const page = yield* salesBetween(startOf(day), endOf(day), after, PAGE)
    sales.push(...page)
    after = page.at(-1)?.orderId
    if (page.length < PAGE) return sales
  }
})

const problemsOf = (
  day: string,
  { counted, unitsOfSku }: DayInRedis,
  sales: ReadonlyArray<Sale>,
  arrivedBefore: number
) => {
  const problems: Array<Record<string, unknown>> = []
  const known = new Set<string>()
  const expected = new Map<string, number>()
  for (const sale of sales) {
    const paid = `${sale.orderId}+`
    const refunded = `${sale.orderId}-`
    known.add(paid)
    if (sale.refundedAt !== undefined) known.add(refunded)
    if (!counted.has(paid) && sale.paidAt.getTime() < arrivedBefore)
      problems.push({ day, order: sale.orderId, problem: "paid, but not counted" })
    if (sale.refundedAt !== undefined && !counted.has(refunded) && sale.refundedAt.getTime() < arrivedBefore)
      problems.push({ day, order: sale.orderId, problem: "refunded, but still counted" })
    const sign = Number(counted.has(paid)) - Number(counted.has(refunded))
    for (const { quantity, sku } of sale.items) expected.set(sku, (expected.get(sku) ?? 0) + sign * quantity)
  }
  for (const mark of counted)
    if (!known.has(mark)) problems.push({ day, counted: mark, problem: "counted, but not in the books" })
  for (const sku of new Set([...expected.keys(), ...unitsOfSku.keys()])) {
    const [books, ranking] = [expected.get(sku) ?? 0, unitsOfSku.get(sku) ?? 0]
    if (books !== ranking)
      problems.push({ day, sku, books, ranking, problem: "other units than were counted" })
  }
  return problems
}
