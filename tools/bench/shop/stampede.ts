import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { type Connections, openConnections } from "../connections.ts"
import { median } from "../statistics.ts"
import { type Counters, openCounters } from "./counters.ts"
import { mutationText, queryText } from "./requests.ts"
import type { Shop } from "./shops.ts"
import type { Stage } from "./stage.ts"
import { ask } from "./turns.ts"
import { withSecondProcess } from "./two-processes.ts"

const READERS_OF_PROCESS = 250
const TIMES = 3
const IDLE_MS = 3_000
const SETTLED_AFTER_MS = 1_000

/** Creates a product in a category of its own, which nobody has read yet. */
const newProduct = async (shop: Shop) => {
  const sku = `STAMPEDE-${randomBytes(6).toString("hex")}`
  const newOne = { sku, name: sku, category: sku, priceMinor: 100, initialStock: 100 }
  await ask(shop, mutationText("admin.createProduct", newOne, shop.admin))
  await sleep(SETTLED_AFTER_MS)
  return sku
}

/** Changes a product that is in the cache. */
const invalidate = (shop: Shop, sku: string, text: string) => async () => {
  await ask(shop, text)
  await sleep(SETTLED_AFTER_MS)
  await ask(shop, mutationText("admin.adjustStock", { sku, delta: 1, reason: "bench" }, shop.admin))
}

const productText = (sku: string) => queryText("products.bySku", { sku })
const pageText = (category: string) => queryText("products.page", { category })

/** Many readers of two processes ask at once for what is not in the cache. The figures are selects of the database. */
export const stampede = ({ holdfast, onProgress, services }: Stage) =>
  withSecondProcess(holdfast, async (second) => {
    await using counters = await openCounters(services)
    const crowds = await Promise.all(
      [holdfast, second].map(({ url }) => openConnections(url, READERS_OF_PROCESS))
    )
    await sleep(SETTLED_AFTER_MS)
    await counters.sinceLast()
    await sleep(IDLE_MS)
    const idlePerMs = (await counters.sinceLast()).selects / IDLE_MS
    const queriesOf = async (text: string, prepare = async () => {}) => {
      await prepare()
      return selectsOf(crowds, counters, text, idlePerMs)
    }
    const kinds = {
      product: async () => queriesOf(productText(await newProduct(holdfast))),
      productInvalidated: async () => {
        const sku = await newProduct(holdfast)
        return queriesOf(productText(sku), invalidate(holdfast, sku, productText(sku)))
      },
      page: async () => queriesOf(pageText(await newProduct(holdfast))),
      pageInvalidated: async () => {
        const sku = await newProduct(holdfast)
        return queriesOf(pageText(sku), invalidate(holdfast, sku, pageText(sku)))
      },
      unknownSku: () => queriesOf(productText(`UNKNOWN-${randomBytes(6).toString("hex")}`))
    }
    const found: Record<string, number> = {}
    for (const [kind, measureOne] of Object.entries(kinds)) {
      const counts: Array<number> = []
      for (let time = 0; time < TIMES; time += 1) counts.push(await measureOne())
      found[kind] = Math.round(median(counts))
      onProgress(`stampede, ${kind}: ${counts.map(Math.round).join(", ")} selects`)
    }
    crowds.forEach((connections) => connections.close())
    return { queries: Math.max(...Object.values(found)), ...found }
  })

/** Every connection asks once, all at the same time. What the processes do anyhow is subtracted. */
const selectsOf = async (
  crowds: ReadonlyArray<Connections>,
  counters: Counters,
  text: string,
  idlePerMs: number
): Promise<number> => {
  await counters.sinceLast()
  const startedAtMs = performance.now()
  const asking = crowds.flatMap((connections) =>
    Array.from({ length: READERS_OF_PROCESS }, () => connections.send(text))
  )
  await Promise.all(asking)
  const elapsedMs = performance.now() - startedAtMs
  const { selects } = await counters.sinceLast()
  return Math.max(0, selects - idlePerMs * elapsedMs)
}
