import type { Client } from "@holdfast/client-sdk"
import { randomUUID } from "node:crypto"
import type { Progress } from "../progress.ts"
import type { Racer } from "./crowd.ts"

const PRICE_MINOR = 1_999

/** Requests of each user for the coupon: people press a button more than once. */
const ASKS = 3

/** How many users race, and for how much. */
export interface SaleSize {
  readonly users: number
  readonly coupons: number
  readonly units: number
}

/** The campaign and the product of a sale. */
export interface Sale {
  readonly couponId: string
  readonly sku: string
}

/** What one user got. */
export interface Outcome {
  readonly userId: string
  /** The coupons that the answers named; more than one is a fault. */
  readonly couponIds: ReadonlySet<string>
  /** The answers to the user's requests for the coupon: `issued`, or the tag of the error. */
  readonly couponAnswers: ReadonlyArray<string>
  /** `ordered`, or the tag of the error. */
  readonly orderAnswer: string
  readonly orderId: string | undefined
}

/** Creates a campaign and a product, so that no demo depends on an earlier one. */
export const openSale = async (admin: Client, { coupons, units }: SaleSize): Promise<Sale> => {
  const name = `DEMO-${randomUUID().slice(0, 8)}`
  const now = Date.now()
  const campaign = await admin.admin.createCoupon({
    name,
    discount: { kind: "percent", percent: 10 },
    minimumOrderMinor: 0,
    quantity: coupons,
    startsAt: new Date(now - 60_000).toISOString(),
    endsAt: new Date(now + 3_600_000).toISOString(),
    validDays: 7
  })
  const product = await admin.admin.createProduct({
    sku: name,
    name: `Flash sale ${name}`,
    category: "Demo",
    priceMinor: PRICE_MINOR,
    initialStock: units
  })
  return { couponId: campaign.id, sku: product.sku }
}

/** Sends all requests of all users at once: three for the coupon and one order each. */
export const race = async (
  racers: ReadonlyArray<Racer>,
  sale: Sale,
  progress: Progress
): Promise<ReadonlyArray<Outcome>> => {
  progress.phase("the race", racers.length * (ASKS + 1))
  const tally = new Map<string, number>()
  const answered = (answer: string): void => {
    tally.set(answer, (tally.get(answer) ?? 0) + 1)
    progress.tally(tallyText(tally))
    progress.step()
  }
  return Promise.all(
    racers.map(async ({ client, userId }) => {
      const asks = Array.from({ length: ASKS }, async () => {
        const answer = await client.safe.coupons.issue({ couponId: sale.couponId })
        answered(answer.ok ? "coupons" : answer.error._tag)
        return answer
      })
      const order = await client.safe.orders.create({ lines: [{ sku: sale.sku, quantity: 1 }] })
      answered(order.ok ? "orders" : order.error._tag)
      const answers = await Promise.all(asks)
      return {
        userId,
        couponIds: new Set(answers.flatMap((answer) => (answer.ok ? [answer.value.id] : []))),
        couponAnswers: answers.map((answer) => (answer.ok ? "issued" : answer.error._tag)),
        orderAnswer: order.ok ? "ordered" : order.error._tag,
        orderId: order.ok ? order.value.id : undefined
      }
    })
  )
}

/** `coupons 100, CouponSoldOut 512, ...`: the answers so far, in a stable order. */
const tallyText = (tally: ReadonlyMap<string, number>): string =>
  [...tally]
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .map(([answer, times]) => `${answer} ${times}`)
    .join(", ")

/**
 * Grants points to the users who got a unit and has them pay.
 * @returns the number of distinct payments
 */
export const payAll = async (
  admin: Client,
  racers: ReadonlyArray<Racer>,
  outcomes: ReadonlyArray<Outcome>,
  progress: Progress
): Promise<number> => {
  const winners = outcomes.flatMap(({ orderId }, index) =>
    orderId === undefined ? [] : [{ racer: racers[index]!, orderId }]
  )
  progress.phase("payments", winners.length)
  const payments = await Promise.all(
    winners.map(async ({ orderId, racer }) => {
      await admin.admin.grantPoints({ userId: racer.userId, amount: PRICE_MINOR, reason: "flash sale" })
      const payment = await racer.client.payments.process({ orderId })
      progress.step()
      return payment.id
    })
  )
  return new Set(payments).size
}
