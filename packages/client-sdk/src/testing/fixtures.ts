import type { Order, Product, Session } from "@holdfast/domain"

const id = (n: number) => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, "0")}`

/** An encoded order. */
export const encodedOrder = (n = 1): typeof Order.Encoded => ({
  id: id(n),
  userId: id(1000),
  status: "PENDING",
  items: [{ sku: "TEA", quantity: 2, unitPriceMinor: 450 }],
  discountMinor: 0,
  totalMinor: 900,
  createdAt: "2026-01-02T03:04:05.678Z",
  expiresAt: "2026-01-02T03:14:05.678Z"
})

export const encodedProduct = (sku: string): typeof Product.Encoded => ({
  sku,
  name: `Product ${sku}`,
  priceMinor: 450,
  stock: 7,
  createdAt: "2026-01-02T03:04:05.678Z"
})

export const encodedSession = (accessToken: string, refreshToken: string): typeof Session.Encoded => ({
  user: { id: id(1000), email: "ann@example.com", role: "user", createdAt: "2026-01-02T03:04:05.678Z" },
  accessToken,
  accessExpiresAt: "2026-01-02T03:19:05.678Z",
  refreshToken,
  refreshExpiresAt: "2026-02-02T03:04:05.678Z"
})

export const orderInput = { lines: [{ sku: "TEA", quantity: 2 }] }
export const orderId = id(1)
