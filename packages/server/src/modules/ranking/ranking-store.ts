import { Sku, TOP_SELLER_DAYS } from "@holdfast/domain"
import { isWrongType, type RedisClient } from "@holdfast/locks"
import { Effect, Schema } from "effect"
import { KeyNamespace } from "../../platform/db/key-namespace.ts"
import type { Sale, Sold } from "./repository.ts"

/** What the names of the ranking's keys begin with: a ranking does not outlive the books that it was counted from. */
export const rankingPrefix = KeyNamespace.use(({ epoch, prefix }) =>
  Effect.zipWith(prefix, epoch, (at, part) => at + part)
)

/**
 * The ranking in Redis: four keys a day (UTC). Scores are negated units, so the set's order is the ranking's order: most
 * units first, ties by SKU, as in the database. Redis may evict any key, so the sets carry the mark of the rebuild that
 * started them: a day is complete only while the mark is in all three.
 */
export const rankingKeys = (prefix: string, day: string) => ({
  /** Sorted set: SKU by units sold, negated; and the mark, above 0. */
  sold: `${prefix}ranking:${day}:sold`,
  /** Set of what was counted: `{orderId}+` for a payment, `{orderId}-` for a refund; and the mark. */
  counted: `${prefix}ranking:${day}:counted`,
  /** The mark, once every sale that the database has for the day is counted. It expires, so that the day is counted anew. */
  complete: `${prefix}ranking:${day}:complete`,
  /** The mark of the rebuild in progress. There is one at a time; a rebuild whose key is gone completes nothing. */
  rebuild: `${prefix}ranking:${day}:rebuild`
})

const DAY_MS = 86_400_000

/** `2026-01-31`, in UTC. */
export const dayOf = (time: Date): string => time.toISOString().slice(0, 10)

/** The last days including today, oldest first. */
export const lastDays = (nowMs: number, days: number): ReadonlyArray<string> =>
  Array.from({ length: days }, (_, ago) => dayOf(new Date(nowMs - (days - 1 - ago) * DAY_MS)))

/** The first moment of a day, and the first one after it. */
export const startOf = (day: string): Date => new Date(`${day}T00:00:00.000Z`)
export const endOf = (day: string): Date => new Date(startOf(day).getTime() + DAY_MS)

/** When the keys of a day expire, in seconds since 1970. */
export const expiryOf = (day: string, days: number): number =>
  Math.floor((endOf(day).getTime() + days * DAY_MS) / 1_000)

/** The cache tag of everything that depends on the ranking. */
export const RANKING_TAG = "ranking"

/**
 * KEYS: counted, sold. ARGV: when the keys expire, the name of the happening, the sign of its units, then SKU and
 * quantity of each item. A happening is counted once.
 */
const COUNT = `
if redis.call('SADD', KEYS[1], ARGV[2]) == 0 then return 0 end
for i = 4, #ARGV, 2 do
  if tonumber(redis.call('ZINCRBY', KEYS[2], -tonumber(ARGV[3]) * tonumber(ARGV[i + 1]), ARGV[i])) == 0 then
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
redis.call('EXPIREAT', KEYS[1], ARGV[1])
redis.call('EXPIREAT', KEYS[2], ARGV[1])
return 1`

/** What can happen to a sale. */
export type Happening = "paid" | "refunded"

/**
 * Counts a payment or a refund, on the day of the payment. It is idempotent and commutative: Redis keeps the set of
 * counted happenings beside the counts, and changes both in one script.
 */
export const count = async (
  client: RedisClient,
  prefix: string,
  day: string,
  sale: Sale,
  happening: Happening
): Promise<void> => {
  const { complete, counted, sold } = rankingKeys(prefix, day)
  const [mark, sign] = happening === "paid" ? ["+", 1] : ["-", -1]
  const items = sale.items.flatMap(({ quantity, sku }) => [sku, quantity])
  const expiresAt = expiryOf(day, TOP_SELLER_DAYS + 1)
  const add = () => client.eval(COUNT, 2, counted, sold, expiresAt, `${sale.orderId}${mark}`, sign, ...items)
  await add().catch(async (error) => {
    if (!isWrongType(error)) throw error
    // Somebody else's data: the day is counted anew.
    await client.del(complete, counted, sold)
    await add()
  })
}

/** How long a day counts as complete. A false count is shown no longer than this. */
export const COMPLETE_S = 3_600

/**
 * Defines `isComplete(complete, counted, sold)`: the mark of the day's rebuild is in all of its keys, and not older than
 * it may be. Keys of another type are none.
 */
export const IS_COMPLETE = `
local function ask(...)
  local reply = redis.pcall(...)
  return type(reply) ~= 'table' and reply
end
local function isComplete(complete, counted, sold)
  local mark, leftS = ask('GET', complete), redis.call('TTL', complete)
  if not mark or leftS < 0 or leftS > ${COMPLETE_S} then return false end
  return ask('SISMEMBER', counted, mark) == 1 and ask('ZSCORE', sold, mark)
end`

/** KEYS: a temporary key for the union, then complete, counted and sold of each day. ARGV: the limit. */
const TOP = `${IS_COMPLETE}
local sold = {}
for i = 2, #KEYS, 3 do
  if not isComplete(KEYS[i], KEYS[i + 1], KEYS[i + 2]) then return false end
  sold[#sold + 1] = KEYS[i + 2]
end
redis.call('ZUNIONSTORE', KEYS[1], #sold, unpack(sold))
local top = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(0', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
redis.call('DEL', KEYS[1])
return top`

/** The best sellers of these days; `undefined` while a day is not complete. Days with what is no sale are not. */
export const topOf = async (
  client: RedisClient,
  prefix: string,
  days: ReadonlyArray<string>,
  limit: number
): Promise<ReadonlyArray<Sold> | undefined> => {
  const keys = days.flatMap((day) => {
    const { complete, counted, sold } = rankingKeys(prefix, day)
    return [complete, counted, sold]
  })
  const reply = (await client.eval(
    TOP,
    keys.length + 1,
    `${prefix}ranking:union`,
    ...keys,
    limit
  )) as ReadonlyArray<string> | null
  if (reply === null) return undefined
  const top = reply.flatMap((sku, at) =>
    at % 2 === 0 ? [{ sku, units: Math.min(-Number(reply[at + 1]), Number.MAX_SAFE_INTEGER) }] : []
  )
  if (isRanking(top)) return top
  await client.del(days.map((day) => rankingKeys(prefix, day).complete))
  return undefined
}

const isRanking = Schema.is(
  Schema.Array(Schema.Struct({ sku: Sku, units: Schema.Int.check(Schema.isGreaterThan(0)) }))
)
