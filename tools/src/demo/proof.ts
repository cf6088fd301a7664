import type { Client } from "@holdfast/client-sdk"
import type { DemoOptions } from "./arguments.ts"
import type { Outcome, Sale } from "./sale.ts"

/** A number that must be what it is, and what it was. */
export interface Fact {
  readonly what: string
  readonly expected: number
  readonly found: number
}

/** How long the ranking may take to hear of the last payment. */
const RANKED_WITHIN_MS = 15_000
const LOOK_AGAIN_MS = 100

/** What the answers to the users add up to, and what the shop says now. */
export const proveSale = async (
  { coupons, units, users }: DemoOptions,
  keeper: Client,
  sale: Sale,
  outcomes: ReadonlyArray<Outcome>,
  paid: number
): Promise<ReadonlyArray<Fact>> => {
  const couponWinners = Math.min(coupons, users)
  const unitWinners = Math.min(units, users)
  const count = (is: (outcome: Outcome) => boolean) => outcomes.filter(is).length
  const { items: campaigns } = await keeper.admin.couponCounts({ limit: 100 })
  const campaign = campaigns.find(({ coupon }) => coupon.id === sale.couponId)
  const product = await keeper.products.bySku({ sku: sale.sku })
  return [
    {
      what: "users who got a coupon",
      expected: couponWinners,
      found: count(({ couponAnswers }) => couponAnswers.includes("issued"))
    },
    {
      what: "users who were told CouponSoldOut, and nothing else",
      expected: users - couponWinners,
      found: count(({ couponAnswers }) => couponAnswers.every((answer) => answer === "CouponSoldOut"))
    },
    {
      what: "users with more than one coupon",
      expected: 0,
      found: count(({ couponIds }) => couponIds.size > 1)
    },
    { what: "coupons issued, says the shop", expected: couponWinners, found: campaign?.coupon.issued ?? -1 },
    {
      what: "users who got an order",
      expected: unitWinners,
      found: count(({ orderAnswer }) => orderAnswer === "ordered")
    },
    {
      what: "users who were told OutOfStock",
      expected: users - unitWinners,
      found: count(({ orderAnswer }) => orderAnswer === "OutOfStock")
    },
    { what: "units left, says the shop", expected: units - unitWinners, found: product.stock },
    { what: "payments of the orders", expected: unitWinners, found: paid },
    {
      what: "units sold in the ranking of top sellers",
      expected: unitWinners,
      found: await rankedUnits(keeper, sale.sku, unitWinners)
    }
  ]
}

/** The ranking hears of payments a moment later; a product of few units may be beyond its first hundred. */
const rankedUnits = async (keeper: Client, sku: string, expected: number): Promise<number> => {
  const until = performance.now() + RANKED_WITHIN_MS
  for (;;) {
    const { products } = await keeper.products.topSellers({ limit: 100 })
    const units = products.find((product) => product.sku === sku)?.unitsSold ?? 0
    if (units === expected || performance.now() > until) return units
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
}

/** The facts as people read them, a line each. */
export const factsText = (facts: ReadonlyArray<Fact>): string =>
  facts
    .map(({ expected, found, what }) => {
      const verdict = expected === found ? "ok  " : "BAD "
      const must = expected === found ? "" : `, must be ${expected}`
      return `${verdict} ${String(found).padStart(5)}  ${what}${must}`
    })
    .join("\n")
