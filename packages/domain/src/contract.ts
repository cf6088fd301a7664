import { auth } from "./auth.ts"
import { coupons, couponsAdmin } from "./coupons/procedures.ts"
import { orders } from "./orders.ts"
import { payments } from "./payments.ts"
import { points, pointsAdmin } from "./points.ts"
import { products, productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

const admin = { ...productsAdmin, ...couponsAdmin, ...pointsAdmin, ...webhooksAdmin }

/**
 * Every procedure of Holdfast, by group and name. The server implements the contract and the client is derived from
 * it. The group `admin` holds exactly the procedures that require an administrator.
 */
export const contract = { auth, points, products, coupons, orders, payments, admin }
/** The type of {@link contract}. */
export type HoldfastContract = typeof contract
