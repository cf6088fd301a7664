import type { Client } from "@holdfast/client-sdk"
import type { Outcome, Sale, SaleSize } from "./sale.ts"

/** A number that the sale must come to, and what it came to. */
export interface Fact {
  readonly what: string
  readonly expected: number
  readonly found: number
}

/** The ranking counts a payment a moment after its commit. */
const RANKED_WITHIN_MS = 15_000
const POLL_MS = 100

/** Compares what the answers to the users add up to, and what the shop says afterwards, with what must be. */
export const proveSale = async (
  { coupons, units, users }: SaleSize,
  admin: Client,
  sale: Sale,
  outcomes: ReadonlyArray<Outcome>,
  paid: number
): Promise<ReadonlyArray<Fact>> => {
  const couponWinners = Math.min(coupons, users)
  const unitWinners = Math.min(units, users)
  const count = (is: (outcome: Outcome) => boolean) => outcomes.filter(is).length
  const { items: campaigns } = await admin.admin.couponCounts({ limit: 100 })
  const campaign = campaigns.find(({ coupon }) => coupon.id === sale.couponId)
  const product = await admin.products.bySku({ sku: sale.sku })
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
      found: await rankedUnits(admin, sale.sku, unitWinners)
    }
  ]
}

/** Polls the ranking until it has the units, or until it has had enough time. */
const rankedUnits = async (admin: Client, sku: string, expected: number): Promise<number> => {
  const until = performance.now() + RANKED_WITHIN_MS
  for (;;) {
    const { products } = await admin.products.topSellers({ limit: 100 })
    const units = products.find((product) => product.sku === sku)?.unitsSold ?? 0
    if (units === expected || performance.now() > until) return units
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The facts as text, one per line. */
export const factsText = (facts: ReadonlyArray<Fact>): string =>
  facts
    .map(({ expected, found, what }) => {
      const verdict = expected === found ? "ok  " : "BAD "
      const must = expected === found ? "" : `, must be ${expected}`
      return `${verdict} ${String(found).padStart(5)}  ${what}${must}`
    })
    .join("\n")
