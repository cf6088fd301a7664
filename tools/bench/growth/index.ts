/** `npm run bench -- growth`: what an order costs with more callers, more lines and more orders in the table. */
import { startServices } from "@holdfast/testkit"
import type { Reporting } from "../../src/progress.ts"
import { faultsInBooks } from "../shop/books.ts"
import { medians, rotated } from "../shop/comparison.ts"
import { PRODUCTS, type Product, products, skuOf } from "../shop/goods.ts"
import { type Figures, measure, type Turn } from "../shop/load.ts"
import { mutationText } from "../shop/requests.ts"
import { insertProducts, withDatabase } from "../shop/seed.ts"
import { openShops, type Shop } from "../shop/shops.ts"
import { order, personOf } from "../shop/turns.ts"
import { fillOrders } from "./fill.ts"

export interface GrowthOptions {
  readonly rounds: number
  readonly seconds: number
  /** The largest number of orders in the table; filling it takes a minute for each million. */
  readonly mostOrders: number
}

/** The figures of both shops where something has grown to `at`. */
export interface GrowthPoint {
  readonly at: number
  readonly holdfast: Figures
  readonly floor: Figures
}

export interface GrowthResult {
  readonly callers: ReadonlyArray<GrowthPoint>
  readonly lines: ReadonlyArray<GrowthPoint>
  readonly orders: ReadonlyArray<GrowthPoint>
  /** The callers of the last two. */
  readonly callersOf: { readonly lines: number; readonly orders: number }
  readonly faultsInBooks: Readonly<Record<"holdfast" | "floor", ReadonlyArray<string>>>
}

const CALLERS = [1, 4, 16, 64, 256, 1_024]
const LINES = [1, 5, 20, 100, 500]
const ORDERS = [1_000, 10_000, 100_000, 1_000_000]
/** Fewer callers for orders of many lines: the floor sends some statements for each line. */
const callersOf = { lines: 16, orders: 64 }
const CUSTOMERS = 2_000
/** Until a process has compiled what it runs. */
const WARM_UP_SECONDS = 0.6
const MORE_PRODUCTS = 800

/** Holdfast and the floor in turns. The table of orders grows first, while there are only those that it was filled with. */
export const run = async (options: GrowthOptions & Reporting): Promise<GrowthResult> => {
  await using services = await startServices({ onProgress: options.onProgress })
  const shops = await openShops(services, ["holdfast", "floor"], CUSTOMERS)
  try {
    for (const { mysqlUrl } of shops)
      await withDatabase(mysqlUrl, (connection) => insertProducts(connection, moreProducts))
    const point = pointOf(shops, options)
    for (const shop of shops) await measure(shop, await order(shop), callersOf.orders, WARM_UP_SECONDS)
    const orders = await inOrder(
      ORDERS.filter((at) => at <= options.mostOrders),
      async (at) => {
        for (const { mysqlUrl } of shops) await fillOrders(mysqlUrl, at)
        return point("orders", at, callersOf.orders, order, 1)
      }
    )
    const callers = await inOrder(CALLERS, (at) => point("callers", at, at, order))
    const lines = await inOrder(LINES, (at) =>
      point("lines", at, callersOf.lines, async (shop) => ordersOfLines(shop, at))
    )
    const faults = { holdfast: await faultsInBooks(shops[0]!), floor: await faultsInBooks(shops[1]!) }
    return { callers, lines, orders, callersOf, faultsInBooks: faults }
  } finally {
    await Promise.all(shops.map((shop) => shop.stop()))
  }
}

type MakeTurn = (shop: Shop) => Promise<Turn>

const pointOf =
  (shops: ReadonlyArray<Shop>, { onProgress, rounds, seconds }: GrowthOptions & Reporting) =>
  async (what: string, at: number, callers: number, turn: MakeTurn, times = rounds): Promise<GrowthPoint> => {
    const found = { holdfast: [] as Array<Figures>, floor: [] as Array<Figures>, naive: [] as Array<Figures> }
    for (let round = 0; round < times; round += 1)
      for (const shop of rotated(shops, round)) {
        const figures = await measure(shop, await turn(shop), callers, seconds)
        onProgress(
          `${what} ${at}, round ${round + 1}, ${shop.name}: ${figures.cpuUs} us, ${figures.perSecond}/s`
        )
        found[shop.name].push(figures)
      }
    return { at, holdfast: medians(found.holdfast), floor: medians(found.floor) }
  }

const inOrder = async <A, B>(items: ReadonlyArray<A>, of: (item: A) => Promise<B>): Promise<Array<B>> => {
  const results: Array<B> = []
  for (const item of items) results.push(await of(item))
  return results
}

const moreProducts: ReadonlyArray<Product> = Array.from({ length: MORE_PRODUCTS }, (_, n) => ({
  ...products[n % PRODUCTS]!,
  sku: `MORE-${n}`
}))
const skus = [...moreProducts.map(({ sku }) => sku), ...products.map((_, n) => skuOf(n))]

/** Each order begins with another product, so that not all of them want the same ones. */
const ordersOfLines = (shop: Shop, count: number): Turn => ({
  request: (n) => {
    const lines = Array.from({ length: count }, (_, line) => ({
      sku: skus[(n * count + line) % skus.length]!,
      quantity: 1
    }))
    return mutationText("orders.create", { lines }, personOf(shop, n))
  },
  expects: [200]
})
