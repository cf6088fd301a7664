import { auditTrailAdmin } from "./audit-trail.ts"
import { auth } from "./auth.ts"
import { coupons, couponsAdmin } from "./coupons/procedures.ts"
import { orders } from "./orders.ts"
import { payments } from "./payments.ts"
import { points, pointsAdmin } from "./points.ts"
import { products, productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

const admin = { ...productsAdmin, ...couponsAdmin, ...pointsAdmin, ...webhooksAdmin, ...auditTrailAdmin }

/**
 * Every procedure of Holdfast, by group and name. The server implements the contract and the client is derived from
 * it. The group `admin` holds exactly the procedures that require an administrator.
 */
export const contract = { auth, points, products, coupons, orders, payments, admin }
/** The type of {@link contract}. */
export type HoldfastContract = typeof contract

/** What the procedures of each group are for, in a sentence. */
export const groupSummaries: { readonly [Group in keyof HoldfastContract]: string } = {
  auth: "Sign-up, login, and the tokens that the other groups ask for.",
  points: "The caller's balance, which pays orders, and its ledger.",
  products: "The catalogue: products, their stock, categories and top sellers.",
  coupons: "Campaigns that issue user coupons, first come, first served.",
  orders: "Orders, which reserve stock until they are paid, cancelled or expired.",
  payments: "The one payment of an order.",
  admin: "What administrators do: products, campaigns, points and webhooks."
}
