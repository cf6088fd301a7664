import { bytesOf, newId } from "../people.ts"
import { type Call, insertAnswer, insertEvent } from "./calls.ts"
import { Refusal, transaction, write } from "./database.ts"
import { redis } from "./redis.ts"

const DAY_MS = 86_400_000

/** Decides who gets a coupon: one step in Redis, with the campaign's quantity and the set of those who have one. */
const GATE = `
  if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 'known' end
  if redis.call('SCARD', KEYS[2]) >= tonumber(redis.call('GET', KEYS[1]) or 0) then return 'full' end
  redis.call('SADD', KEYS[2], ARGV[1])
  return 'yours'`

redis.defineCommand("gate", { numberOfKeys: 2, lua: GATE })
type Gate = { readonly gate: (quantity: string, holders: string, userId: string) => Promise<string> }
const { gate } = redis as unknown as Gate

const quantityKey = (couponId: string) => `floor:{${couponId}}:quantity`
const holdersKey = (couponId: string) => `floor:{${couponId}}:holders`

interface Campaign {
  readonly name: string
  readonly quantity: number
  readonly startsAt: string
  readonly endsAt: string
}

export const createCoupon = async ({ input }: Call<Campaign>) => {
  const id = newId()
  await transaction(async (on) => {
    await write(
      on,
      `INSERT INTO coupons (id, name, kind, value, minimum_order_minor, quantity, starts_at, ends_at, valid_days)
       VALUES (?, ?, 'percent', 10, 0, ?, ?, ?, 7)`,
      [bytesOf(id), input.name, input.quantity, new Date(input.startsAt), new Date(input.endsAt)]
    )
    await write(on, "INSERT INTO coupon_ledger (coupon_id, delta, kind) VALUES (?, ?, 'initial')", [
      bytesOf(id),
      input.quantity
    ])
  })
  await redis.set(quantityKey(id), input.quantity)
  return { id }
}

/** The counter comes first: the foreign key of a coupon shares its row, and two who share it cannot both update it. */
export const issueCoupon = async (call: Call<{ readonly couponId: string }>) => {
  const { couponId } = call.input
  const { userId } = call
  const verdict = await gate.call(redis, quantityKey(couponId), holdersKey(couponId), userId)
  if (verdict !== "yours")
    throw new Refusal(409, verdict === "full" ? "CouponSoldOut" : "CouponAlreadyIssued")
  const id = newId()
  const issuedAt = new Date()
  const answer = { id, couponId, userId, issuedAt, expiresAt: new Date(issuedAt.getTime() + 7 * DAY_MS) }
  return transaction(async (on) => {
    const { affectedRows } = await write(
      on,
      "UPDATE coupons SET issued = issued + 1 WHERE id = ? AND issued < quantity",
      [bytesOf(couponId)]
    )
    if (affectedRows !== 1) throw new Refusal(409, "CouponSoldOut")
    await write(
      on,
      "INSERT INTO user_coupons (id, coupon_id, user_id, issued_at, expires_at) VALUES (?, ?, ?, ?, ?)",
      [bytesOf(id), bytesOf(couponId), bytesOf(userId), issuedAt, answer.expiresAt]
    )
    await write(
      on,
      "INSERT INTO coupon_ledger (coupon_id, delta, kind, user_coupon_id) VALUES (?, -1, 'issue', ?)",
      [bytesOf(couponId), bytesOf(id)]
    )
    await insertEvent(on, "coupon.issued", { userCouponId: id, couponId, userId })
    await insertAnswer(on, call, answer)
    return answer
  })
}
