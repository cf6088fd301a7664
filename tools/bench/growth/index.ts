/** `npm run bench -- growth`: what a call costs when callers, lines, products, campaigns or orders grow. */
import { startServices } from "@holdfast/testkit"
import type { Reporting } from "../../src/progress.ts"
import { faultsInBooks } from "../shop/books.ts"
import { medians, rotated } from "../shop/comparison.ts"
import { PRODUCTS, type Product, products, skuOf } from "../shop/goods.ts"
import { type Figures, measure, type Turn } from "../shop/load.ts"
import { mutationText } from "../shop/requests.ts"
import { insertProducts, withDatabase } from "../shop/seed.ts"
import { openShops, type Shop } from "../shop/shops.ts"
import { issueText, openCampaign, order, ordersOf, personOf } from "../shop/turns.ts"
import { fillOrders } from "./fill.ts"

export interface GrowthOptions {
  readonly rounds: number
  readonly seconds: number
  /** The largest number of orders in the table; filling it takes a minute for each million. */
  readonly mostOrders: number
  /** What grows; everything when it is empty. */
  readonly only: ReadonlyArray<string>
}

const KINDS = ["orders", "campaigns", "callers", "lines", "products"] as const

/** The figures of both shops where something has grown to `at`. */
export interface GrowthPoint {
  readonly at: number
  readonly holdfast: Figures
  readonly floor: Figures
}

export interface GrowthResult {
  readonly callers: ReadonlyArray<GrowthPoint>
  readonly lines: ReadonlyArray<GrowthPoint>
  readonly products: ReadonlyArray<GrowthPoint>
  /** Of a coupon; all others are of an order. */
  readonly campaigns: ReadonlyArray<GrowthPoint>
  readonly orders: ReadonlyArray<GrowthPoint>
  /** The callers of all but the first. */
  readonly callersOf: Readonly<Record<"lines" | "products" | "campaigns" | "orders", number>>
  readonly faultsInBooks: Readonly<Record<"holdfast" | "floor", ReadonlyArray<string>>>
}

const CALLERS = [1, 4, 16, 64, 256, 1_024]
const LINES = [1, 5, 20, 100, 500]
/** The first is what all measurements begin with. */
const PRODUCT_COUNTS = [1_000, 10_000, 100_000]
const CAMPAIGNS = [1, 10, 100, 1_000]
const ORDERS = [1_000, 10_000, 100_000, 1_000_000]
/** Fewer callers for orders of many lines: the floor sends some statements for each line. */
const callersOf = { lines: 16, products: 64, campaigns: 64, orders: 64 }
const CUSTOMERS = 4_000
/** Coupons of a campaign. */
const ENOUGH = 1_000_000
/** Until a process has compiled what it runs. */
const WARM_UP_SECONDS = 0.6

/**
 * Holdfast and the floor in turns. The table of orders grows first, while there are only those that it was filled with.
 * What is left out has no points.
 */
export const run = async (options: GrowthOptions & Reporting): Promise<GrowthResult> => {
  const unknown = options.only.filter((name) => !KINDS.some((kind) => kind === name))
  if (unknown.length > 0)
    throw new Error(`nothing is called ${unknown.join(", ")}; known: ${KINDS.join(", ")}`)
  const of = <A>(kind: (typeof KINDS)[number], items: ReadonlyArray<A>): ReadonlyArray<A> =>
    options.only.length === 0 || options.only.includes(kind) ? items : []
  await using services = await startServices({ onProgress: options.onProgress })
  const shops = await openShops(services, ["holdfast", "floor"], CUSTOMERS)
  try {
    const fillProducts = async (from: number, to: number) => {
      for (const { mysqlUrl } of shops)
        await withDatabase(mysqlUrl, (connection) => insertProducts(connection, productsBetween(from, to)))
    }
    await fillProducts(PRODUCTS, PRODUCT_COUNTS[0]!)
    const point = pointOf(shops, options)
    for (const shop of shops) await measure(shop, await order(shop), callersOf.orders, WARM_UP_SECONDS)
    const orders = await inOrder(
      of(
        "orders",
        ORDERS.filter((at) => at <= options.mostOrders)
      ),
      async (at) => {
        for (const { mysqlUrl } of shops) await fillOrders(mysqlUrl, at)
        return point("orders", at, callersOf.orders, order, 1)
      }
    )
    const campaigns = await inOrder(of("campaigns", CAMPAIGNS), (at) =>
      point("campaigns", at, callersOf.campaigns, (shop) => couponsOf(shop, at), 1)
    )
    const callers = await inOrder(of("callers", CALLERS), (at) => point("callers", at, at, order))
    const lines = await inOrder(of("lines", LINES), (at) =>
      point("lines", at, callersOf.lines, async (shop) => ordersOfLines(shop, at))
    )
    const ofProducts = await inOrder(of("products", PRODUCT_COUNTS), async (at) => {
      await fillProducts(PRODUCT_COUNTS[PRODUCT_COUNTS.indexOf(at) - 1] ?? at, at)
      const anyOf = async (shop: Shop) => ordersOf(shop, (n) => skuAt((n * SCATTER) % at))
      return point("products", at, callersOf.products, anyOf, 1)
    })
    const faults = { holdfast: await faultsInBooks(shops[0]!), floor: await faultsInBooks(shops[1]!) }
    return { callers, lines, products: ofProducts, campaigns, orders, callersOf, faultsInBooks: faults }
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

/** A prime, so that orders one after the other want products that lie far apart, and all of them in the end. */
const SCATTER = 7_919
const skuAt = (n: number): string => (n < PRODUCTS ? skuOf(n) : `MORE-${n - PRODUCTS}`)

const productsBetween = (from: number, to: number): ReadonlyArray<Product> =>
  Array.from({ length: to - from }, (_, n) => ({
    ...products[n % PRODUCTS]!,
    sku: skuAt(from + n)
  }))

/** Everybody asks for a coupon of each campaign, neighbours for those of different ones at the same time. */
const couponsOf = async (shop: Shop, count: number): Promise<Turn> => {
  const campaigns: Array<string> = []
  for (let n = 0; n < count; n += 1) campaigns.push(await openCampaign(shop, ENOUGH))
  const { people } = shop
  return {
    request: (n) => {
      const round = Math.floor(n / people.length)
      return round < count ? issueText(campaigns[(n + round) % count]!, personOf(shop, n)) : undefined
    },
    expects: [200]
  }
}

/** Each order begins with another product, so that not all of them want the same ones. */
const ordersOfLines = (shop: Shop, count: number): Turn => ({
  request: (n) => {
    const lines = Array.from({ length: count }, (_, line) => ({
      sku: skuAt((n * count + line) % PRODUCT_COUNTS[0]!),
      quantity: 1
    }))
    return mutationText("orders.create", { lines }, personOf(shop, n))
  },
  expects: [200]
})
