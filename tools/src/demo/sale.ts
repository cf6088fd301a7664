import type { Client } from "@holdfast/client-sdk"
import { randomUUID } from "node:crypto"
import type { ShownProgress } from "../replay/progress.ts"
import type { Racer } from "./crowd.ts"
import type { DemoOptions } from "./arguments.ts"

const PRICE_MINOR = 1_999

/** How often each user asks for the coupon: people press a button more than once. */
const ASKS = 3

/** What is raced for. */
export interface Sale {
  readonly couponId: string
  readonly sku: string
}

/** What one user got out of it. */
export interface Outcome {
  readonly userId: string
  /** The coupons that the answers named; two of them would be one too many. */
  readonly couponIds: ReadonlySet<string>
  /** The answers to the three questions, by tag: `issued`, `CouponSoldOut` and so on. */
  readonly couponAnswers: ReadonlyArray<string>
  /** `ordered`, or the tag of the refusal. */
  readonly orderAnswer: string
  readonly orderId: string | undefined
}

/** A new campaign and a new product, so that every demo is a sale of its own. */
export const openSale = async (keeper: Client, { coupons, units }: DemoOptions): Promise<Sale> => {
  const name = `DEMO-${randomUUID().slice(0, 8)}`
  const now = Date.now()
  const campaign = await keeper.admin.createCoupon({
    name,
    discount: { kind: "percent", percent: 10 },
    minimumOrderMinor: 0,
    quantity: coupons,
    startsAt: new Date(now - 60_000).toISOString(),
    endsAt: new Date(now + 3_600_000).toISOString(),
    validDays: 7
  })
  const product = await keeper.admin.createProduct({
    sku: name,
    name: `Flash sale ${name}`,
    category: "Demo",
    priceMinor: PRICE_MINOR,
    initialStock: units
  })
  return { couponId: campaign.id, sku: product.sku }
}

/** Everybody at once: three questions for the coupon and an order, none waiting for another. */
export const race = async (
  racers: ReadonlyArray<Racer>,
  sale: Sale,
  progress: ShownProgress
): Promise<ReadonlyArray<Outcome>> => {
  progress.phase("the race", racers.length * (ASKS + 1))
  const told = new Map<string, number>()
  const answered = (answer: string): void => {
    told.set(answer, (told.get(answer) ?? 0) + 1)
    progress.tally(tallyText(told))
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

/** `coupons 100, CouponSoldOut 512, ...`: the answers so far, in an order that does not jump. */
const tallyText = (told: ReadonlyMap<string, number>): string =>
  [...told]
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .map(([answer, times]) => `${answer} ${times}`)
    .join(", ")

/** The winners of a unit are given points and pay. @returns how many payments there are. */
export const payAll = async (
  keeper: Client,
  racers: ReadonlyArray<Racer>,
  outcomes: ReadonlyArray<Outcome>,
  progress: ShownProgress
): Promise<number> => {
  const winners = outcomes.flatMap(({ orderId }, index) =>
    orderId === undefined ? [] : [{ racer: racers[index]!, orderId }]
  )
  progress.phase("payments", winners.length)
  const payments = await Promise.all(
    winners.map(async ({ orderId, racer }) => {
      await keeper.admin.grantPoints({ userId: racer.userId, amount: PRICE_MINOR, reason: "flash sale" })
      const payment = await racer.client.payments.process({ orderId })
      progress.step()
      return payment.id
    })
  )
  return new Set(payments).size
}
