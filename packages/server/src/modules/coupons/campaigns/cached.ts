import { contract, Coupon, CouponId, CouponNotFound, PAGE_SIZE } from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { invalidate } from "../../../platform/cache/cache.ts"
import { makeListed } from "../../../platform/cache/lists.ts"
import { DatabaseClock } from "../../../platform/db/database-clock.ts"
import { makePages } from "../../../platform/db/pagination.ts"
import { query } from "../../../platform/trpc/handler.ts"
import { findCoupons, listCoupons } from "./repository.ts"

/** The tag of everything that depends on which campaigns exist. */
export const CAMPAIGNS_TAG = "campaigns"

/** The tag of everything that depends on one campaign. */
export const campaignTag = (couponId: string): string => `campaign:${couponId}`

/** Call after the commit of a change, an issued coupon included: readers get the new state. */
export const campaignsChanged = (couponIds: ReadonlyArray<CouponId>) =>
  invalidate([...new Set(couponIds)].map(campaignTag))

const listed = makeListed({
  id: CouponId,
  item: Coupon,
  idOf: ({ id }) => id,
  keyOf: (id) => ({ name: campaignTag(id), tag: campaignTag(id), absentTag: CAMPAIGNS_TAG }),
  find: findCoupons
})

export const couponById = query(
  contract.coupons.byId,
  Effect.fnUntraced(function* ({ input: { couponId } }) {
    const [coupon] = yield* listed.byIds([couponId])
    return coupon ?? (yield* new CouponNotFound({ couponId }))
  })
)

const pages = makePages(Schema.Struct({ couponId: CouponId }))
const keyOf = ({ id }: Coupon) => ({ couponId: id })

/** A page of campaigns, newest first; with `endedWithinMs`, without those that ended longer ago. */
export const readCampaigns = (
  input: { readonly cursor?: string; readonly limit?: number },
  endedWithinMs?: number
) => pages(input, (before, limit) => listCoupons(before?.couponId, limit, endedWithinMs), keyOf)

/** The first page is cached. Time alone ends a campaign, so a page that names one that has ended is read again. */
export const couponPage = query(
  contract.coupons.page,
  Effect.fnUntraced(function* ({ input }) {
    if (input.cursor !== undefined) return yield* readCampaigns(input, 0)
    const page = yield* listed.firstPage({
      limit: input.limit ?? PAGE_SIZE.default,
      keyOf: (size) => ({ name: `campaigns:${size}`, tag: CAMPAIGNS_TAG, absentTag: CAMPAIGNS_TAG }),
      query: (limit) => listCoupons(undefined, limit, 0),
      pageOf: (coupons, limit) => pages.of(coupons, limit, keyOf)
    })
    const { nowMs } = yield* DatabaseClock
    const now = nowMs()
    return page.items.every(({ endsAt }) => endsAt.getTime() > now) ? page : yield* readCampaigns(input, 0)
  })
)
