/** The products of the benchmark's shops; the first is the one that everybody wants. */
export const PRODUCTS = 200
const CATEGORIES = 10
export const INITIAL_STOCK = 1_000_000_000
export const INITIAL_BALANCE = 1_000_000_000_000

const COLOURS = ["blue", "green", "red", "white", "black"]

export interface Product {
  readonly sku: string
  readonly name: string
  readonly category: string
  readonly priceMinor: number
}

export const skuOf = (n: number): string => `SKU-${n % PRODUCTS}`
const categoryOf = (n: number): string => `shelf-${n % CATEGORIES}`
/** A word that a fifth of the products have in their names. */
export const colourOf = (n: number): string => COLOURS[n % COLOURS.length]!

export const products: ReadonlyArray<Product> = Array.from({ length: PRODUCTS }, (_, n) => ({
  sku: skuOf(n),
  name: `The ${colourOf(n)} thing number ${n}`,
  category: categoryOf(n),
  priceMinor: 100
}))
