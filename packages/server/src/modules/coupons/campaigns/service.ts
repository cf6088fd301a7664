import {
  contract,
  type Coupon,
  CouponId,
  CouponNotFound,
  CouponQuantityExceeded,
  MAXIMUM_COUPONS,
  PAGE_SIZE
} from "@holdfast/domain"
import { Clock, Effect, Schema } from "effect"
import { makeCursor, toPage } from "../../../platform/db/pagination.ts"
import { withIdempotency } from "../../../platform/idempotency/idempotency.ts"
import { newCouponId } from "../../../platform/db/ids.ts"
import { insertOutbox } from "../../../platform/outbox/outbox.ts"
import type { Call } from "../../../platform/trpc/adapter.ts"
import { CouponAdmission } from "../issuing/admission.ts"
import { CouponGate } from "../issuing/gate.ts"
import {
  addQuantity,
  countUses,
  findCoupon,
  insertCoupon,
  insertCouponMovements,
  listCoupons,
  lockCoupon,
  updatePaused
} from "./repository.ts"

export const createCoupon = Effect.fn("createCoupon")(function* (
  call: Call<typeof contract.admin.createCoupon>
) {
  const { caller, input, request } = call
  const createdAt = new Date(yield* Clock.currentTimeMillis)
  const coupon: Coupon = { id: newCouponId(), ...input, issued: 0, paused: false, createdAt }
  const body = Effect.gen(function* () {
    yield* insertCoupon(coupon)
    yield* insertCouponMovements([{ couponId: coupon.id, delta: coupon.quantity, kind: "initial" }])
    yield* insertOutbox("coupon.created", { couponId: coupon.id })
    return coupon
  })
  return yield* withIdempotency(
    { procedure: contract.admin.createCoupon, userId: caller.userId, request, input },
    body
  )
})

export const pauseCoupon = Effect.fn("pauseCoupon")(function* (
  call: Call<typeof contract.admin.pauseCoupon>
) {
  const { caller, input, request } = call
  return yield* withIdempotency(
    { procedure: contract.admin.pauseCoupon, userId: caller.userId, request, input },
    setPaused(input.couponId, true)
  )
})

export const resumeCoupon = Effect.fn("resumeCoupon")(function* (
  call: Call<typeof contract.admin.resumeCoupon>
) {
  const { caller, input, request } = call
  return yield* withIdempotency(
    { procedure: contract.admin.resumeCoupon, userId: caller.userId, request, input },
    setPaused(input.couponId, false)
  )
})

/** The campaign's row lock: once the pause is committed, nobody is in the middle of getting a coupon any more. */
const setPaused = Effect.fnUntraced(function* (couponId: CouponId, paused: boolean) {
  const coupon = yield* lockCoupon(couponId)
  if (coupon === undefined) return yield* new CouponNotFound({ couponId })
  if (coupon.paused === paused) return coupon
  yield* updatePaused(couponId, paused)
  yield* insertOutbox("coupon.changed", { couponId })
  return { ...coupon, paused }
})

/** The gate follows after the commit. Should that fail, it refuses nobody: the database has coupons left. */
export const raiseCouponQuantity = Effect.fn("raiseCouponQuantity")(function* (
  call: Call<typeof contract.admin.raiseCouponQuantity>
) {
  const { caller, input, request } = call
  const { rebuild } = yield* CouponAdmission
  const raised = yield* withIdempotency(
    { procedure: contract.admin.raiseCouponQuantity, userId: caller.userId, request, input },
    raise(input.couponId, input.additional)
  )
  yield* Effect.ignore(rebuild(input.couponId))
  return raised
})

const raise = Effect.fnUntraced(function* (couponId: CouponId, additional: number) {
  const coupon = yield* lockCoupon(couponId)
  if (coupon === undefined) return yield* new CouponNotFound({ couponId })
  const { quantity } = coupon
  if (quantity + additional > MAXIMUM_COUPONS)
    return yield* new CouponQuantityExceeded({ couponId, quantity, maximum: MAXIMUM_COUPONS })
  yield* addQuantity(couponId, additional)
  yield* insertCouponMovements([{ couponId, delta: additional, kind: "raise" }])
  yield* insertOutbox("coupon.changed", { couponId })
  return { ...coupon, quantity: quantity + additional }
})

export const couponById = Effect.fn("couponById")(function* ({ input }: Call<typeof contract.coupons.byId>) {
  const coupon = yield* findCoupon(input.couponId)
  if (coupon === undefined) return yield* new CouponNotFound({ couponId: input.couponId })
  return coupon
})

const cursor = makeCursor(Schema.Struct({ couponId: CouponId }))

export const couponPage = Effect.fn("couponPage")(function* ({ input }: Call<typeof contract.coupons.page>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).couponId
  const limit = input.limit ?? PAGE_SIZE.default
  const now = new Date(yield* Clock.currentTimeMillis)
  const coupons = yield* listCoupons(before, limit + 1, now)
  return toPage(coupons, limit, ({ id }) => cursor.encode({ couponId: id }))
})

export const couponCounts = Effect.fn("couponCounts")(function* ({
  input
}: Call<typeof contract.admin.couponCounts>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).couponId
  const limit = input.limit ?? PAGE_SIZE.default
  const page = toPage(yield* listCoupons(before, limit + 1), limit, ({ id }) =>
    cursor.encode({ couponId: id })
  )
  const uses = yield* countUses(page.items.map(({ id }) => id))
  const gates = yield* Effect.forEach(page.items, ({ id }) => gateCounts(id), { concurrency: 10 })
  const items = page.items.map((coupon, index) => {
    const { used, waiting } = uses.get(coupon.id) ?? { used: 0, waiting: 0 }
    const gate = gates[index]
    return { coupon, used, waiting, ...(gate === undefined ? {} : { gate }) }
  })
  return { ...page, items }
})

const gateCounts = Effect.fnUntraced(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  const state = yield* gate.look(couponId).pipe(Effect.catchTag("GateAway", () => Effect.succeed(undefined)))
  if (state === undefined) return undefined
  const { holders, quantity, reserved } = state
  return { free: Math.max(0, quantity - holders - reserved), reserved }
})
