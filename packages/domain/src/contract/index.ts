import { auth } from "./auth.ts"
import { coupons, couponsAdmin } from "./coupons.ts"
import { orders } from "./orders.ts"
import { payments } from "./payments.ts"
import { points, pointsAdmin } from "./points.ts"
import { products, productsAdmin } from "./products.ts"
import { webhooksAdmin } from "./webhooks.ts"

export * from "./auth.ts"
export * from "./coupons.ts"
export * from "./orders.ts"
export * from "./path.ts"
export * from "./payments.ts"
export * from "./points.ts"
export * from "./procedure.ts"
export * from "./products.ts"
export * from "./webhooks.ts"
export { MAXIMUM_STOCK, PAGE_SIZE } from "./shared.ts"

/** What takes the role of an administrator, and nothing else does. */
const admin = { ...productsAdmin, ...couponsAdmin, ...pointsAdmin, ...webhooksAdmin }

/** Every procedure of Holdfast. The server implements it, the client is derived from it: neither can drift. */
export const contract = { auth, points, products, coupons, orders, payments, admin }
export type HoldfastContract = typeof contract
