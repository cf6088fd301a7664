/** `npm run bench -- peers`: the last units of a product, and sales a second, in Holdfast and in other shops. */
import { startServices } from "@holdfast/testkit"
import type { Reporting } from "../../src/progress.ts"
import { processorTimeUs } from "../processes.ts"
import { rounded } from "../shop/load.ts"
import { percentile } from "../statistics.ts"
import { openHoldfast } from "./holdfast.ts"
import { openMedusa } from "./medusa/shop.ts"
import type { PeerShop } from "./shop.ts"
import { openVendure } from "./vendure/shop.ts"

export interface PeersOptions {
  readonly rounds: number
  readonly seconds: number
  readonly callers: number
}

/** Customers of a product that runs out. */
interface LastUnits {
  readonly units: number
  readonly customers: number
  /** The customers who were told that they had bought a unit, refused ones, and calls that failed. */
  readonly sold: number
  readonly refused: number
  readonly failed: number
  /** What the shop believes to have left afterwards. */
  readonly unitsLeft: number
  /** No more was sold than there was, nothing that was there was denied, and the shop's stock says so. */
  readonly isExact: boolean
}

interface Sales {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the server and its stores for each sale. */
  readonly cpuUs: number | null
  readonly failed: number
}

export interface PeersResult {
  readonly callers: number
  readonly shops: ReadonlyArray<{
    readonly name: string
    readonly version: string
    readonly lastUnits: ReadonlyArray<LastUnits>
    readonly sales: Sales
  }>
}

const UNITS = 32
const CUSTOMERS = 64
const PRODUCTS = 200
const ENOUGH = 1_000_000
/** V8 compiles what has run often, which takes a process some thousand purchases: the longer the better, for each shop. */
const WARM_UP = { least: 3, share: 2 }

/** One shop after the other, each alone on the machine. */
export const run = async ({ callers, onProgress, rounds, seconds }: PeersOptions & Reporting) => {
  await using services = await startServices({ onProgress })
  const shops: Array<PeersResult["shops"][number]> = []
  for (const open of [openHoldfast, openVendure, openMedusa]) {
    const shop = await open(services)
    if (shop === undefined) {
      onProgress("Medusa is left out: it needs PostgreSQL, which is not installed here")
      continue
    }
    try {
      await sell(shop, callers, Math.max(WARM_UP.least, WARM_UP.share * seconds))
      const lastUnits: Array<LastUnits> = []
      for (let round = 0; round < rounds; round += 1) lastUnits.push(await sellLastUnits(shop))
      const sales = await sell(shop, callers, seconds)
      onProgress(`${shop.name}: ${sales.perSecond}/s, sold ${lastUnits.map(({ sold }) => sold).join(", ")}`)
      shops.push({ name: shop.name, version: shop.version, lastUnits, sales })
    } finally {
      await shop.stop()
    }
  }
  return { callers, shops } satisfies PeersResult
}

/** All customers have a unit in their cart; then all buy at once. */
const sellLastUnits = async (shop: PeerShop): Promise<LastUnits> => {
  const product = await shop.addProduct(UNITS)
  const buyers: Array<Awaited<ReturnType<PeerShop["customer"]>>> = []
  for (let customer = 0; customer < CUSTOMERS; customer += 1)
    buyers.push(await shop.customer(product, customer))
  const purchases = await Promise.allSettled(buyers.map((buy) => buy()))
  const count = (outcome: string) =>
    purchases.filter((it) => (it.status === "fulfilled" ? it.value : "failed") === outcome).length
  const sold = count("sold")
  const unitsLeft = await shop.unitsLeft(product)
  return {
    units: UNITS,
    customers: CUSTOMERS,
    sold,
    refused: count("refused"),
    failed: count("failed"),
    unitsLeft,
    isExact: sold === UNITS && unitsLeft === 0
  }
}

/** Callers that buy one unit after the other, of products that do not run out. */
const sell = async (shop: PeerShop, callers: number, seconds: number): Promise<Sales> => {
  const products: Array<string> = []
  for (let n = 0; n < PRODUCTS; n += 1) products.push(await shop.addProduct(ENOUGH))
  const used = () => Object.values(shop.pids()).reduce((sum, pids) => sum + processorTimeUs(pids), 0)
  const latenciesMs: Array<number> = []
  let next = 0
  let failed = 0
  const usedBefore = used()
  const startedAtMs = performance.now()
  const caller = async () => {
    while (performance.now() - startedAtMs < seconds * 1_000) {
      const sentAtMs = performance.now()
      const n = next++
      const purchase = await shop
        .customer(products[n % PRODUCTS]!, n)
        .then((buy) => buy())
        .catch(() => "failed")
      if (purchase === "sold") latenciesMs.push(performance.now() - sentAtMs)
      else failed += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const cpuUs = (used() - usedBefore) / latenciesMs.length
  return {
    perSecond: rounded(latenciesMs.length / ((performance.now() - startedAtMs) / 1_000)),
    p50Ms: rounded(percentile(latenciesMs, 0.5)),
    p99Ms: rounded(percentile(latenciesMs, 0.99)),
    cpuUs: Number.isFinite(cpuUs) ? Math.round(cpuUs) : null,
    failed
  }
}
