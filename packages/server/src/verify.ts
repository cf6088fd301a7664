import type { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { userAnswers } from "./modules/auth/audit.ts"
import { stockChecks } from "./modules/catalog/audit.ts"
import { couponChecks } from "./modules/coupons/audit.ts"
import { auditGates } from "./modules/coupons/issuing/audit.ts"
import { cancellationChecks, orderAnswers, orderChecks } from "./modules/orders/audit.ts"
import { debitChecks, paymentAnswers, paymentChecks, paymentEventChecks } from "./modules/payments/audit.ts"
import { pointAnswers, pointChecks } from "./modules/points/audit.ts"
import { auditRanking } from "./modules/ranking/audit.ts"
import { deliveryChecks } from "./modules/webhooks/audit.ts"
import { auditTrailCheck } from "./platform/audit-trail/check.ts"
import {
  answersCheck,
  type AuditOptions,
  type Check,
  consumersCheck,
  outboxCheck,
  runChecks
} from "./platform/audit/check.ts"
import { reportOf, type VerifyReport } from "./platform/audit/report.ts"
import type { Database } from "./platform/db/database.ts"
import { setAsideCheck } from "./platform/jobs/set-aside.ts"

/** In the order in which the report lists them. */
const checks: ReadonlyArray<Check> = [
  ...stockChecks,
  ...orderChecks,
  ...paymentChecks,
  ...cancellationChecks,
  ...debitChecks,
  ...pointChecks,
  ...paymentEventChecks,
  outboxCheck,
  consumersCheck,
  ...deliveryChecks,
  setAsideCheck,
  answersCheck([...orderAnswers, ...paymentAnswers, ...userAnswers, ...pointAnswers]),
  ...couponChecks,
  auditTrailCheck
]

const ranking = {
  name: "ranking",
  promise: "the top sellers count every paid order of the last days once, and no other"
}

const couponGates = {
  name: "coupon gates",
  promise: "every gate in Redis equals the database, and no reservation is older than its deadline"
}

/** The names of all checks, in the order of the report. */
export const checkNames: ReadonlyArray<string> = [...checks, ranking, couponGates].map(({ name }) => name)

/**
 * Audits the books of stock, orders, payments, points, coupons and webhooks against each other, and then Redis against the
 * database where `RedisStore` and `CouponGate` are provided. It changes nothing and may run in the middle of a sale.
 *
 * @returns one report a check, in a fixed order.
 */
export const verifyWith = (
  options: AuditOptions
): Effect.Effect<VerifyReport, ServiceUnavailable, Database> =>
  Effect.gen(function* () {
    const { only } = options
    const isWanted = ({ name }: { readonly name: string }) => only === undefined || only.includes(name)
    const books = yield* runChecks(checks, options)
    const topSellers = isWanted(ranking) ? yield* auditRanking : undefined
    const gates = isWanted(couponGates) ? yield* auditGates : undefined
    const reports = [
      ...books,
      ...(topSellers === undefined ? [] : [reportOf(ranking, topSellers)]),
      ...(gates === undefined ? [] : [reportOf(couponGates, gates)])
    ]
    return { ok: reports.every((report) => report.ok), checks: reports }
  })

/** All checks; see {@link verifyWith}. */
export const verify: Effect.Effect<VerifyReport, ServiceUnavailable, Database> = verifyWith({})

/** The checks of orders and what belongs to them, for orders that were made after this one. */
export const verifyNew = (after: Buffer) =>
  runChecks([...orderChecks, ...paymentChecks, ...cancellationChecks, ...debitChecks], { after })
