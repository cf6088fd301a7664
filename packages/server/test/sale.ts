import { contract, type InputOf, type UserId } from "@holdfast/domain"
import { randomBytes } from "node:crypto"
import { bytesOf, newUserId } from "../src/platform/db/ids.ts"
import { setTimeout } from "node:timers/promises"
import type { Pool } from "mysql2/promise"
import { Refused, type Shop, type TestUser } from "./shop.ts"
import { signedToken } from "./signed-tokens.ts"
import { CouponGate } from "../src/modules/coupons/issuing/gate.ts"

const HOUR_MS = 3_600_000

type CouponInput = InputOf<typeof contract.admin.createCoupon>

/** A campaign that is open now, unless overridden. */
export const couponInput = (overrides: Partial<CouponInput> = {}): CouponInput => ({
  name: "spring sale",
  discount: { kind: "percent", percent: 10 },
  minimumOrderMinor: 0,
  quantity: 10,
  startsAt: new Date(Date.now() - HOUR_MS).toISOString(),
  endsAt: new Date(Date.now() + HOUR_MS).toISOString(),
  validDays: 7,
  ...overrides
})

export const newCoupon = (shop: Shop, overrides: Partial<CouponInput> = {}) =>
  shop.ok(contract.admin.createCoupon, couponInput(overrides), shop.admin)

/** Creates users by SQL and signs their tokens, which is much faster than registering them. */
export const manyUsers = async (shop: Shop, count: number): Promise<ReadonlyArray<TestUser>> => {
  const ids = Array.from({ length: count }, () => newUserId())
  const users = ids.map((id) => ({ id, email: `${id}@sale.test` }))
  await shop.sql.query("INSERT INTO users (id, email, password_hash, role) VALUES ?", [
    users.map(({ email, id }) => [bytesOf(id), email, randomBytes(8).toString("hex"), "user"])
  ])
  await shop.sql.query("INSERT INTO point_accounts (user_id, balance) VALUES ?", [
    ids.map((id) => [bytesOf(id), 0])
  ])
  await insertSessions(shop.sql, ids)
  return users.map((user) => ({ ...user, token: tokenOf(user.id) }))
}

/** A session of each user, with the user's own id. */
const insertSessions = (sql: Pool, userIds: ReadonlyArray<UserId>) =>
  sql.query(
    "INSERT INTO user_sessions (id, user_id, created_at, last_used_at, expires_at, address, user_agent) VALUES ?",
    [
      userIds.map((id) => [
        bytesOf(id),
        bytesOf(id),
        new Date(),
        new Date(),
        new Date(Date.now() + HOUR_MS),
        "",
        ""
      ])
    ]
  )

const tokenOf = (userId: UserId): string =>
  signedToken({
    iss: "holdfast",
    aud: "access",
    sub: userId,
    sid: userId,
    role: "user",
    exp: Math.floor((Date.now() + HOUR_MS) / 1_000)
  })

export const issue = (shop: Shop, couponId: string, user: TestUser, idempotencyKey?: string) =>
  shop.ok(
    contract.coupons.issue,
    { couponId },
    { token: user.token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
  )

/** A response that asks for a retry, or a lost connection. */
const askAgain = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof Refused && error._tag === "ServiceUnavailable")

/**
 * Repeats a request until there is a definitive answer, like the SDK, so that a slow machine does not look like a
 * refusal. A mutation needs an idempotency key, because a lost connection does not tell whether it arrived.
 */
export const patiently = async <A>(ask: () => Promise<A>): Promise<A> => {
  for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, 1_000)) {
    try {
      return await ask()
    } catch (error) {
      if (!askAgain(error)) throw error
      await setTimeout(pauseMs * (0.5 + Math.random()))
    }
  }
}

export const issuedOf = async (shop: Shop, couponId: string): Promise<number> =>
  (await shop.ok(contract.coupons.byId, { couponId })).issued

/** The gate of a campaign; `undefined` when there is none. */
export const gateOf = async (shop: Shop, couponId: string) => {
  const page = await shop.ok(contract.admin.couponCounts, { limit: 100 }, shop.admin)
  return page.items.find(({ coupon }) => coupon.id === couponId)?.gate
}

/** Runs an effect with the first server's gate. */
export const withGate = <A>(shop: Shop, use: Parameters<typeof CouponGate.use<A, unknown, never>>[0]) =>
  shop.servers[0].runtime.runPromise(CouponGate.use(use))
