import {
  contract,
  type Coupon,
  type CouponId,
  CouponNotFound,
  CouponQuantityExceeded,
  MAXIMUM_COUPONS
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { invalidate } from "../../../platform/cache/cache.ts"
import { command } from "../../../platform/command/command.ts"
import { newCouponId } from "../../../platform/db/ids.ts"
import { insertEvents } from "../../../platform/outbox/outbox.ts"
import { query } from "../../../platform/trpc/handler.ts"
import { CouponAdmission } from "../issuing/admission.ts"
import { CouponGate } from "../issuing/gate.ts"
import { insertCouponMovements } from "../repository.ts"
import { CAMPAIGNS_TAG, campaignsChanged, campaignTag, readCampaigns } from "./cached.ts"
import { addQuantity, countUses, insertCoupons, lockCoupons, updatePaused } from "./repository.ts"

export const createCoupon = command(contract.admin.createCoupon, {
  prepare: ({ input }) => Effect.sync(() => ({ id: newCouponId(), ...input, issued: 0, paused: false })),
  transaction: {
    lock: () => Effect.void,
    decide: (_nothing, coupons, now) =>
      coupons.map((coupon) => Result.succeed({ output: { ...coupon, createdAt: now } })),
    write: (created) => insertCreated(created.map(({ output }) => output)),
    audit: ({ output: { createdAt: _createdAt, id, ...terms } }) => ({ subject: subjectOf(id), after: terms })
  },
  afterCommit: (coupons) => invalidate([CAMPAIGNS_TAG, ...coupons.map(({ id }) => campaignTag(id))])
})

const insertCreated = Effect.fnUntraced(function* (coupons: ReadonlyArray<Coupon>) {
  yield* insertCoupons(coupons)
  yield* insertCouponMovements(
    coupons.map(({ id, quantity }) => ({ couponId: id, delta: quantity, kind: "initial" }))
  )
  yield* insertEvents(coupons.map(({ id }) => ({ topic: "coupon.created", payload: { couponId: id } })))
})

/** Once the pause is committed, no coupon is being issued any more: both hold the campaign's row lock. */
export const pauseCoupon = command(contract.admin.pauseCoupon, {
  prepare: ({ input }) => Effect.succeed(input.couponId),
  transaction: {
    lock: lockCoupons,
    decide: (coupons, couponIds) => setPaused(coupons, couponIds, true),
    write: (decided) => writePaused(decided, true),
    audit: pausedChange
  },
  afterCommit: (coupons) => campaignsChanged(coupons.map(({ id }) => id))
})

export const resumeCoupon = command(contract.admin.resumeCoupon, {
  prepare: ({ input }) => Effect.succeed(input.couponId),
  transaction: {
    lock: lockCoupons,
    decide: (coupons, couponIds) => setPaused(coupons, couponIds, false),
    write: (decided) => writePaused(decided, false),
    audit: pausedChange
  },
  afterCommit: (coupons) => campaignsChanged(coupons.map(({ id }) => id))
})

/** A campaign, as the audit trail names it. */
const subjectOf = (couponId: CouponId): string => `coupon:${couponId}`

function pausedChange({ isChanged, output: { id, paused } }: Paused) {
  return isChanged ? { subject: subjectOf(id), before: { paused: !paused }, after: { paused } } : undefined
}

interface Paused {
  readonly output: Coupon
  readonly isChanged: boolean
}

const setPaused = (
  coupons: ReadonlyMap<CouponId, Coupon>,
  couponIds: ReadonlyArray<CouponId>,
  paused: boolean
): ReadonlyArray<Result.Result<Paused, CouponNotFound>> =>
  couponIds.map((couponId) => {
    const coupon = coupons.get(couponId)
    return coupon === undefined
      ? Result.fail(new CouponNotFound({ couponId }))
      : Result.succeed({ output: { ...coupon, paused }, isChanged: coupon.paused !== paused })
  })

const writePaused = Effect.fnUntraced(function* (decided: ReadonlyArray<Paused>, paused: boolean) {
  const changed = decided.flatMap(({ isChanged, output }) => (isChanged ? [output.id] : []))
  if (changed.length === 0) return
  yield* updatePaused(changed, paused)
  yield* insertEvents(changed.map((couponId) => ({ topic: "coupon.changed", payload: { couponId } })))
})

/** The gate follows after the commit. A gate that does not follow refuses no one: the database has coupons left. */
export const raiseCouponQuantity = command(contract.admin.raiseCouponQuantity, {
  prepare: ({ input }) => Effect.succeed(input),
  transaction: {
    lock: (raises) => lockCoupons(raises.map(({ couponId }) => couponId)),
    decide: raiseQuantities,
    write: writeRaised,
    audit: ({ additional, output: { id, quantity } }) => ({
      subject: subjectOf(id),
      before: { quantity: quantity - additional },
      after: { quantity }
    })
  },
  afterCommit: (coupons) =>
    CouponAdmission.use(({ rebuild }) =>
      Effect.forEach(coupons, ({ id }) => Effect.ignore(rebuild(id)), { discard: true })
    ).pipe(Effect.andThen(campaignsChanged(coupons.map(({ id }) => id))))
})

interface Raise {
  readonly couponId: CouponId
  readonly additional: number
}

interface RaisedCoupon {
  readonly output: Coupon
  readonly additional: number
}

export function raiseQuantities(
  coupons: ReadonlyMap<CouponId, Coupon>,
  raises: ReadonlyArray<Raise>
): ReadonlyArray<Result.Result<RaisedCoupon, CouponNotFound | CouponQuantityExceeded>> {
  const current = new Map(coupons)
  return raises.map(({ additional, couponId }) => {
    const coupon = current.get(couponId)
    if (coupon === undefined) return Result.fail(new CouponNotFound({ couponId }))
    const { quantity } = coupon
    if (quantity + additional > MAXIMUM_COUPONS)
      return Result.fail(new CouponQuantityExceeded({ couponId, quantity, maximum: MAXIMUM_COUPONS }))
    const output = { ...coupon, quantity: quantity + additional }
    current.set(couponId, output)
    return Result.succeed({ output, additional })
  })
}

function writeRaised(raised: ReadonlyArray<RaisedCoupon>) {
  return Effect.gen(function* () {
    for (const { additional, output } of raised) yield* addQuantity(output.id, additional)
    yield* insertCouponMovements(
      raised.map(({ additional, output }) => ({ couponId: output.id, delta: additional, kind: "raise" }))
    )
    yield* insertEvents(
      raised.map(({ output }) => ({ topic: "coupon.changed", payload: { couponId: output.id } }))
    )
  })
}

export const couponCounts = query(
  contract.admin.couponCounts,
  Effect.fnUntraced(function* ({ input }) {
    const page = yield* readCampaigns(input)
    const uses = yield* countUses(page.items.map(({ id }) => id))
    const gates = yield* Effect.forEach(page.items, ({ id }) => gateCounts(id), { concurrency: 10 })
    const items = page.items.map((coupon, index) => {
      const { used, waiting } = uses.get(coupon.id) ?? { used: 0, waiting: 0 }
      const gate = gates[index]
      return { coupon, used, waiting, ...(gate === undefined ? {} : { gate }) }
    })
    return { ...page, items }
  })
)

const gateCounts = Effect.fnUntraced(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  const state = yield* gate
    .look(couponId)
    .pipe(Effect.catchTag("RedisUnavailable", () => Effect.succeed(undefined)))
  if (state === undefined) return undefined
  const { holders, quantity, reserved } = state
  const free = Math.max(0, quantity - holders - reserved)
  return Number.isSafeInteger(free) ? { free, reserved } : undefined
})
