import type { ScenarioName } from "../shop/comparison.ts"

/**
 * The most processor time that a request may cost, in microseconds: about half of what a usual shop without effective
 * locks took on the machine for which these were set, of two cores, where the floor issues 1,000 coupons a second.
 */
export const targets: Partial<Readonly<Record<ScenarioName, number>>> = {
  issued: 900,
  soldOut: 350,
  alreadyHas: 600,
  order: 800,
  payment: 650,
  page: 250,
  product: 250,
  search: 250,
  categories: 250,
  campaign: 250,
  topSellers: 250,
  balance: 250
}
