import { type Coupon, type CouponId, UserId } from "@holdfast/domain"
import { Clock, Effect, Schema } from "effect"
import { bytesOf } from "../../../platform/db/ids.ts"
import { attemptEach } from "../../../platform/jobs/set-aside.ts"
import { CouponAdmission } from "./admission.ts"
import { CouponGate, type GateState, RESERVATION_MS } from "./gate.ts"
import { makeRota } from "./rota.ts"
import { findCoupon, listCoupons } from "../campaigns/repository.ts"
import { holdersAmong } from "../repository.ts"

/** Gates of campaigns that have just ended are still reconciled, because reservations outlast them. */
const AFTER_END_MS = 20 * RESERVATION_MS
const CAMPAIGNS_AT_ONCE = 500
const CONCURRENCY = 8

/** A million holders are read again within this. */
const WITHIN_MS = 30_000

const JOB = "coupon gates"
/** The counts do not show a holder who was exchanged for another user. So some holders are looked up now and then. */
const SAMPLE = 100
const SAMPLED_EVERY_S = 3

/**
 * Reconciles the gates of running campaigns. A reservation past its deadline belongs to a process that died or to a
 * request that lost its stores: its slot is freed unless the database has the coupon. A gate that contradicts the
 * database is rebuilt. Any number of processes may run this at once.
 *
 * @returns how many reservations were settled.
 */
const reconcileGates = Effect.gen(function* () {
  const gate = yield* CouponGate
  const due = rotaOf(gate)(yield* runningCampaigns, gate.inUse())
  return yield* attemptEach(due, {
    job: JOB,
    keyOf: ({ id }) => bytesOf(id),
    handle: reconcileGate,
    concurrency: CONCURRENCY,
    withinMs: WITHIN_MS
  }).pipe(
    // Those whose turn it was were not all looked at.
    Effect.tapError(() => Effect.sync(() => rotas.delete(gate)))
  )
})

/** Each server has its own turns. */
const rotas = new WeakMap<object, ReturnType<typeof makeRota>>()
const rotaOf = (server: object) => {
  const rota = rotas.get(server) ?? makeRota()
  rotas.set(server, rota)
  return rota
}

const runningCampaigns = Effect.gen(function* () {
  const running: Array<Coupon> = []
  for (let before: CouponId | undefined; ;) {
    const page: ReadonlyArray<Coupon> = yield* listCoupons(before, CAMPAIGNS_AT_ONCE, AFTER_END_MS)
    running.push(...page)
    if (page.length < CAMPAIGNS_AT_ONCE) return running
    before = page.at(-1)!.id
  }
})

const reconcileGate = Effect.fnUntraced(function* (coupon: Coupon) {
  const gate = yield* CouponGate
  const isSampled = Math.floor((yield* Clock.currentTimeMillis) / 1_000) % SAMPLED_EVERY_S === 0
  const state = yield* gate.look(coupon.id, isSampled ? SAMPLE : 0)
  if (state === undefined) return 0
  yield* reap(coupon.id, state)
  if (yield* isWrong(coupon, state)) {
    yield* Effect.logInfo("coupons: a gate did not fit the database and is rebuilt", { couponId: coupon.id })
    const { rebuild } = yield* CouponAdmission
    yield* rebuild(coupon.id)
  }
  return state.overdue.length
})

const isUserId = Schema.is(UserId)

/** The database first: a process may have died after it committed the coupon, and then the slot is used. */
const reap = Effect.fnUntraced(function* (couponId: CouponId, { overdue }: GateState) {
  if (overdue.length === 0) return
  const gate = yield* CouponGate
  const users = overdue.filter(isUserId)
  const holders = yield* holdersAmong(couponId, users)
  const issued = users.filter((userId) => holders.has(userId))
  if (issued.length > 0) yield* gate.confirm(couponId, issued)
  const lost = overdue.filter((userId) => !holders.has(userId))
  if (lost.length > 0) yield* gate.release(couponId, lost, "overdue")
})

/**
 * Whether the gate contradicts the database. `coupon` was read before the gate, so every coupon issued by then is a
 * holder or an unconfirmed reservation. A holder in the gate was committed before the gate was read, so the other
 * direction needs a second read of the database.
 */
const isWrong = Effect.fnUntraced(function* (coupon: Coupon, state: GateState) {
  const { holders, reserved, someHolders } = state
  if (coupon.issued > holders + reserved) return true
  if (someHolders.length > 0) {
    const known = yield* holdersAmong(coupon.id, someHolders.filter(isUserId))
    if (!someHolders.every((userId) => known.has(userId))) return true
  }
  if (coupon.issued >= holders && hasFactsOf(coupon, state)) return false
  const now = yield* findCoupon(coupon.id)
  return now !== undefined && (now.issued < holders || !hasFactsOf(now, state))
})

const hasFactsOf = (coupon: Coupon, { endsAtMs, quantity, startsAtMs }: GateState): boolean =>
  quantity === coupon.quantity &&
  startsAtMs === coupon.startsAt.getTime() &&
  endsAtMs === coupon.endsAt.getTime()

/** With the length of a reservation, the interval stays below the 5 seconds within which a slot is free again. */
export const gateReconciler = { name: JOB, intervalMs: 2_000, run: reconcileGates }
