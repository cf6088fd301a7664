import {
  contract,
  type Coupon,
  CouponAlreadyIssued,
  type CouponId,
  CouponIssueLock,
  CouponNotFound,
  type UserCoupon,
  type UserCouponId,
  type UserId
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { command } from "../../../platform/command/command.ts"
import { newUserCouponId } from "../../../platform/db/ids.ts"
import { failpoint } from "../../../platform/failpoints.ts"
import { insertEvents } from "../../../platform/outbox/outbox.ts"
import { campaignsChanged } from "../campaigns/cached.ts"
import { addIssued, existingCoupons, lockCoupons } from "../campaigns/repository.ts"
import { couponsOfUsers, insertCouponMovements, insertUserCoupons } from "../repository.ts"
import { admitToCampaign, type Closed, closedBecause } from "./admission.ts"

declare module "../../../platform/failpoints.ts" {
  interface Failpoints {
    "issue: campaign locked": true
    "issue: coupon inserted": true
    "issue: counted": true
    "issue: rows written": true
  }
}

/**
 * First come, first served: a slot of the gate, the user's own calls one after the other, the transaction, the slot's
 * confirmation. The transaction alone is exact without any of the others.
 */
export const issueCoupon = command(contract.coupons.issue, {
  prepare: ({ caller, input }) =>
    Effect.sync((): RequestedCoupon => ({
      id: newUserCouponId(),
      couponId: input.couponId,
      userId: caller.userId
    })),
  admit: admitToCampaign,
  lock: ({ userId }) => CouponIssueLock.of(userId),
  group: { queue: () => "coupons" },
  transaction: { lock: lockCampaigns, blockedBy: heldCampaign, decide: issueCoupons, write: insertIssued },
  afterCommit: (coupons) => campaignsChanged(coupons.map(({ couponId }) => couponId))
})

export interface RequestedCoupon {
  /** The id of the coupon, if it is issued. */
  readonly id: UserCouponId
  readonly couponId: CouponId
  readonly userId: UserId
}

/** The campaigns come first: a transaction that holds one sees every coupon issued before. */
function lockCampaigns(requests: ReadonlyArray<RequestedCoupon>, heldRows: "skip" | "wait") {
  return Effect.gen(function* () {
    const users = new Map<CouponId, Array<UserId>>()
    for (const { couponId, userId } of requests) users.set(couponId, [...(users.get(couponId) ?? []), userId])
    const campaigns = yield* lockCoupons(users.keys(), heldRows)
    yield* failpoint("issue: campaign locked")
    const missing = [...users.keys()].filter((couponId) => !campaigns.has(couponId))
    for (const couponId of missing) users.delete(couponId)
    return {
      campaigns,
      earlier: users.size === 0 ? [] : yield* couponsOfUsers(users),
      held: new Set(heldRows === "skip" && missing.length > 0 ? yield* existingCoupons(missing) : [])
    }
  })
}

/** A campaign that another transaction holds. */
function heldCampaign({ held }: { readonly held: ReadonlySet<CouponId> }, { couponId }: RequestedCoupon) {
  return held.has(couponId) ? couponId : undefined
}

/** What is decided on. Campaigns that do not exist are absent. */
export interface LockedCampaigns {
  readonly campaigns: ReadonlyMap<CouponId, Coupon>
  /** The coupons that the callers have already. */
  readonly earlier: ReadonlyArray<UserCoupon>
}

/** A coupon as it is issued: the answer, and the row to insert. */
export interface IssuedCoupon {
  readonly output: UserCoupon
}

const DAY_MS = 86_400_000

/** At most the campaign's quantity, one a user, in order of arrival. */
export function issueCoupons(
  { campaigns, earlier }: LockedCampaigns,
  requests: ReadonlyArray<RequestedCoupon>,
  now: Date
): ReadonlyArray<Result.Result<IssuedCoupon, Closed | CouponAlreadyIssued>> {
  const current = new Map(campaigns)
  const couponOf = new Map(earlier.map((coupon) => [ownerOf(coupon), coupon]))
  return requests.map(({ couponId, id, userId }) => {
    const campaign = current.get(couponId)
    if (campaign === undefined) return Result.fail(new CouponNotFound({ couponId }))
    const existing = couponOf.get(ownerOf({ couponId, userId }))
    if (existing !== undefined) return Result.fail(new CouponAlreadyIssued({ coupon: existing }))
    const closed = closedBecause(campaign, now)
    if (closed !== undefined) return Result.fail(closed)
    const output: UserCoupon = {
      id,
      couponId,
      userId,
      name: campaign.name,
      discount: campaign.discount,
      minimumOrderMinor: campaign.minimumOrderMinor,
      issuedAt: now,
      expiresAt: new Date(now.getTime() + campaign.validDays * DAY_MS)
    }
    current.set(couponId, { ...campaign, issued: campaign.issued + 1 })
    couponOf.set(ownerOf(output), output)
    return Result.succeed({ output })
  })
}

/** Who has a coupon of which campaign. */
const ownerOf = ({ couponId, userId }: Pick<UserCoupon, "couponId" | "userId">) => `${couponId} ${userId}`

/** The guards can only refuse what the row lock failed to protect, so a refusal is a bug. */
export function insertIssued(decided: ReadonlyArray<IssuedCoupon>) {
  return Effect.gen(function* () {
    const issued = decided.map(({ output }) => output)
    yield* insertUserCoupons(issued)
    yield* failpoint("issue: coupon inserted")
    const counts = new Map<CouponId, number>()
    for (const { couponId } of issued) counts.set(couponId, (counts.get(couponId) ?? 0) + 1)
    const enough = yield* addIssued(counts)
    if (enough !== counts.size)
      return yield* Effect.die(
        new Error(`under their locks, ${enough} of ${counts.size} coupons had enough left`)
      )
    yield* failpoint("issue: counted")
    yield* insertCouponMovements(
      issued.map(({ couponId, id }) => ({ couponId, delta: -1, kind: "issue", userCouponId: id }))
    )
    yield* insertEvents(
      issued.map((coupon) => ({
        topic: "coupon.issued",
        payload: { userCouponId: coupon.id, couponId: coupon.couponId, userId: coupon.userId },
        cause: coupon
      }))
    )
    yield* failpoint("issue: rows written")
  })
}
