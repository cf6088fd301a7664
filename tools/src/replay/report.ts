import type { CheckReport, VerifyReport } from "@holdfast/server"
import type { Plan } from "./plan.ts"
import type { Work } from "./run.ts"

/** The result of a replay, as `--json` prints it. */
export interface ReplayReport {
  /** Invoices of the file, cancellations among them. */
  readonly invoices: number
  readonly orders: {
    readonly placed: number
    readonly paid: number
    /** By the tag of the error. */
    readonly refused: Readonly<Record<string, number>>
    /** Invoices that became no order, by reason. */
    readonly skipped: Readonly<Record<string, number>>
  }
  /** Rows of the file. Each row counts once, here or in `returns`. */
  readonly lines: { readonly ordered: number; readonly skipped: Readonly<Record<string, number>> }
  /** Stock adjustments for cancelled lines. */
  readonly returns: number
  /** Units of paid orders. */
  readonly unitsSold: number
  /** The sum of all payments, in pence. */
  readonly revenueMinor: number
  readonly products: number
  readonly users: number
  /** From the first request to the end of the last check. */
  readonly seconds: number
  /** Orders with a definitive answer, payment included, a second. */
  readonly ordersPerSecond: number
  readonly verify: VerifyReport
}

export const makeReport = (
  plan: Plan,
  work: Work,
  checks: ReadonlyArray<CheckReport>,
  elapsedMs: number
): ReplayReport => {
  const outcomes = [...work.orders]
  const paid = outcomes.flatMap(([order, outcome]) => (outcome.kind === "paid" ? [{ order, outcome }] : []))
  const refused = outcomes.flatMap(([, outcome]) => (outcome.kind === "refused" ? [outcome.reason] : []))
  return {
    invoices: plan.invoices,
    orders: {
      placed: outcomes.length - refused.length,
      paid: paid.length,
      refused: tally(refused),
      skipped: plan.invoicesWithoutLines === 0 ? {} : { "no line left": plan.invoicesWithoutLines }
    },
    lines: { ordered: plan.orderedLines, skipped: Object.fromEntries(plan.skippedLines) },
    returns: plan.returns.length,
    unitsSold: paid.reduce((sum, { order }) => sum + order.units, 0),
    revenueMinor: paid.reduce((sum, { outcome }) => sum + outcome.amountMinor, 0),
    products: plan.products.length,
    users: plan.users.length,
    seconds: round(elapsedMs / 1000),
    ordersPerSecond: work.ordersMs === 0 ? 0 : round((outcomes.length / work.ordersMs) * 1000),
    verify: { ok: checks.every(({ ok }) => ok), checks }
  }
}

const tally = (reasons: ReadonlyArray<string>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => [reason, all.length])
  )

const round = (value: number): number => Math.round(value * 10) / 10

/** The report as text. `checksText` is the text of its checks. */
export const reportText = (report: ReplayReport, checksText: string): string => {
  const { lines, orders } = report
  const reasons = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([reason, count]) => `${count} ${reason}`)
      .join(", ") || "none"
  return [
    `invoices   ${report.invoices} of ${report.users} users, ${report.products} products`,
    `orders     ${orders.placed} placed, ${orders.paid} paid; refused: ${reasons(orders.refused)}; skipped: ${reasons(orders.skipped)}`,
    `lines      ${lines.ordered} ordered, ${report.returns} returned; skipped: ${reasons(lines.skipped)}`,
    `sold       ${report.unitsSold} units for ${(report.revenueMinor / 100).toFixed(2)}`,
    `time       ${report.seconds} s, ${report.ordersPerSecond} orders a second`,
    "",
    checksText
  ].join("\n")
}
