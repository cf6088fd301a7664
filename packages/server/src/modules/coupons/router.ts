import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import {
  couponById,
  couponCounts,
  couponPage,
  createCoupon,
  pauseCoupon,
  raiseCouponQuantity,
  resumeCoupon
} from "./campaigns/service.ts"
import { issueCoupon, myCoupons } from "./service.ts"
import { requestIssue, ticket, watchTicket } from "./tickets/service.ts"

export const couponsRouter = (implement: Implement) => ({
  byId: implement(contract.coupons.byId, couponById),
  page: implement(contract.coupons.page, couponPage),
  issue: implement(contract.coupons.issue, issueCoupon),
  mine: implement(contract.coupons.mine, myCoupons),
  requestIssue: implement(contract.coupons.requestIssue, requestIssue),
  ticket: implement(contract.coupons.ticket, ticket),
  watchTicket: implement(contract.coupons.watchTicket, watchTicket)
})

export const couponsAdmin = (implement: Implement) => ({
  createCoupon: implement(contract.admin.createCoupon, createCoupon),
  pauseCoupon: implement(contract.admin.pauseCoupon, pauseCoupon),
  resumeCoupon: implement(contract.admin.resumeCoupon, resumeCoupon),
  raiseCouponQuantity: implement(contract.admin.raiseCouponQuantity, raiseCouponQuantity),
  couponCounts: implement(contract.admin.couponCounts, couponCounts)
})
