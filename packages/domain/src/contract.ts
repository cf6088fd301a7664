import { auditTrailAdmin } from "./audit-trail.ts"
import { auth } from "./auth.ts"
import { coupons, couponsAdmin } from "./coupons/procedures.ts"
import { orders } from "./orders.ts"
import { payments } from "./payments.ts"
import { points, pointsAdmin } from "./points.ts"
import { products, productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

/** The type of {@link contract}. It names the groups' own types, so that editors keep the comments of their procedures. */
export type HoldfastContract = {
  /** Sign-up, login, and the tokens that the other groups ask for. */
  readonly auth: typeof auth
  /** The caller's balance, which pays orders, and its ledger. */
  readonly points: typeof points
  /** The catalogue: products, their stock, categories and top sellers. */
  readonly products: typeof products
  /** Campaigns that issue user coupons, first come, first served. */
  readonly coupons: typeof coupons
  /** Orders, which reserve stock until they are paid, cancelled or expired. */
  readonly orders: typeof orders
  /** The one payment of an order. */
  readonly payments: typeof payments
  /** What administrators do: products, campaigns, points and webhooks. */
  readonly admin: typeof productsAdmin &
    typeof couponsAdmin &
    typeof pointsAdmin &
    typeof webhooksAdmin &
    typeof auditTrailAdmin
}

const admin = { ...productsAdmin, ...couponsAdmin, ...pointsAdmin, ...webhooksAdmin, ...auditTrailAdmin }

/**
 * Every procedure of Holdfast, by group and name. The server implements the contract and the client is derived from
 * it. The group `admin` holds exactly the procedures that require an administrator.
 */
export const contract: HoldfastContract = { auth, points, products, coupons, orders, payments, admin }
