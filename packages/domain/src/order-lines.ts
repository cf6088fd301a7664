import type { Sku } from "./ids.ts"

export interface OrderLine {
  readonly sku: Sku
  readonly quantity: number
}

/**
 * The canonical form of an order's lines: one line a product, sorted by SKU (by UTF-16 code unit, the same on every
 * machine). Two baskets with the same goods have the same canonical lines, whatever their order.
 */
export const mergeLines = (lines: ReadonlyArray<OrderLine>): ReadonlyArray<OrderLine> => {
  const quantities = new Map<Sku, number>()
  for (const { quantity, sku } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity)
  return [...quantities]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .toSorted((a, b) => (a.sku < b.sku ? -1 : a.sku > b.sku ? 1 : 0))
}

/** The canonical lines as text, `sku:quantity` joined by commas: the last part of an order's lock key. */
export const itemKeys = (lines: ReadonlyArray<OrderLine>): string =>
  mergeLines(lines)
    .map(({ quantity, sku }) => `${sku}:${quantity}`)
    .join(",")
