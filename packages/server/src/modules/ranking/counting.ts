import type { RedisClient } from "@holdfast/locks"
import { expiryOf, rankingKeys } from "./keys.ts"
import type { Sale, Sold } from "./repository.ts"
import { Sku, TOP_SELLER_DAYS } from "@holdfast/domain"

/**
 * KEYS: counted, sold. ARGV: when the keys vanish, the name of what happened, the sign of its units, then SKU and
 * quantity of each item. What was counted already is not counted again.
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

export type Happening = "paid" | "refunded"

/**
 * Counts what happened to a sale, on the day on which it was paid. Done any number of times, in any order, by any
 * number of processes, the outcome is the same: Redis keeps what it counted beside the counts, and changes both in one
 * step.
 */
export const count = async (
  client: RedisClient,
  prefix: string,
  day: string,
  sale: Sale,
  happening: Happening
): Promise<void> => {
  const keys = rankingKeys(prefix, day)
  const [mark, sign] = happening === "paid" ? ["+", 1] : ["-", -1]
  const items = sale.items.flatMap(({ quantity, sku }) => [sku, quantity])
  const expiresAt = expiryOf(day, TOP_SELLER_DAYS + 1)
  await client.eval(COUNT, 2, keys.counted, keys.sold, expiresAt, `${sale.orderId}${mark}`, sign, ...items)
}

/** Defines `isComplete(complete, counted, sold)`: the mark of the day's rebuild is in all of its keys. */
export const IS_COMPLETE = `
local function isComplete(complete, counted, sold)
  local mark = redis.call('GET', complete)
  return mark and redis.call('SISMEMBER', counted, mark) == 1 and redis.call('ZSCORE', sold, mark)
end`

/** KEYS: a place for the union, then complete, counted and sold of each day. ARGV: how many are asked for. */
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

/** The most sold of these days; `undefined` while a day is not complete. */
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
  return reply.flatMap((sku, at) =>
    at % 2 === 0 ? [{ sku: Sku.make(sku), units: -Number(reply[at + 1]) }] : []
  )
}
