import { contract } from "@holdfast/domain"
import type { Implement } from "../App.ts"
import {
  couponById,
  couponCounts,
  couponPage,
  createCoupon,
  pauseCoupon,
  raiseCouponQuantity,
  resumeCoupon
} from "./campaigns.ts"
import { issueCoupon, myCoupons } from "./service.ts"
import { requestIssue, ticket, watchTicket } from "./tickets.ts"

export const couponsRouter = (implement: Implement) => ({
  create: implement(contract.coupons.create, createCoupon),
  pause: implement(contract.coupons.pause, pauseCoupon),
  resume: implement(contract.coupons.resume, resumeCoupon),
  raiseQuantity: implement(contract.coupons.raiseQuantity, raiseCouponQuantity),
  counts: implement(contract.coupons.counts, couponCounts),
  byId: implement(contract.coupons.byId, couponById),
  page: implement(contract.coupons.page, couponPage),
  issue: implement(contract.coupons.issue, issueCoupon),
  mine: implement(contract.coupons.mine, myCoupons),
  requestIssue: implement(contract.coupons.requestIssue, requestIssue),
  ticket: implement(contract.coupons.ticket, ticket),
  watchTicket: implement(contract.coupons.watchTicket, watchTicket)
})
