import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { type Connections, openConnections } from "../connections.ts"
import { openQueryLog, type QueryLog } from "./query-log.ts"
import { mutationText, queryText } from "./requests.ts"
import type { Shop } from "./shops.ts"
import type { Stage } from "./stage.ts"
import { ask } from "./turns.ts"
import { withSecondProcess } from "./two-processes.ts"

const READERS_OF_PROCESS = 250
const TIMES = 3
const SETTLED_AFTER_MS = 1_000

/** Many readers of two processes ask at once for what is not in the cache. Counted are the database's selects. */
export const stampede = ({ holdfast, onProgress, services }: Stage) =>
  withSecondProcess(holdfast, async (second) => {
    await using log = await openQueryLog(services)
    const urls = [holdfast.url, second.url]
    const crowds = await Promise.all(urls.map((url) => openConnections(url, READERS_OF_PROCESS)))
    const found: Partial<Record<Kind, number>> = {}
    let otherSelects = 0
    for (const [kind, prepare] of Object.entries(KINDS) as ReadonlyArray<readonly [Kind, Prepare]>) {
      const counts: Array<number> = []
      for (let time = 0; time < TIMES; time += 1) {
        const { naming, others } = await selectsOf(crowds, log, await prepare(holdfast))
        counts.push(naming)
        otherSelects = Math.max(otherSelects, others)
      }
      found[kind] = Math.max(...counts)
      onProgress(`stampede, ${kind}: ${counts.join(", ")} selects`)
    }
    crowds.forEach((connections) => connections.close())
    return { queries: Math.max(...Object.values(found)), ...found, otherSelects }
  })

/** What is read, and the word that only its selects hold. */
interface Reading {
  readonly text: string
  readonly word: string
}

type Prepare = (shop: Shop) => Promise<Reading>

const KINDS = {
  product: async (shop: Shop) => productOf(await newProduct(shop)),
  productInvalidated: async (shop: Shop) => invalidated(shop, productOf(await newProduct(shop))),
  page: async (shop: Shop) => pageOf(await newProduct(shop)),
  pageInvalidated: async (shop: Shop) => invalidated(shop, pageOf(await newProduct(shop))),
  unknownSku: async () => productOf(`UNKNOWN-${randomBytes(6).toString("hex")}`)
} satisfies Readonly<Record<string, Prepare>>

type Kind = keyof typeof KINDS

const productOf = (sku: string): Reading => ({ text: queryText("products.bySku", { sku }), word: sku })
const pageOf = (category: string): Reading => ({
  text: queryText("products.page", { category }),
  word: category
})

/** Creates a product in a category of its own, which nobody has read yet. */
const newProduct = async (shop: Shop): Promise<string> => {
  const sku = `STAMPEDE-${randomBytes(6).toString("hex")}`
  const newOne = { sku, name: sku, category: sku, priceMinor: 100, initialStock: 100 }
  await ask(shop, mutationText("admin.createProduct", newOne, shop.admin))
  await sleep(SETTLED_AFTER_MS)
  return sku
}

/** Reads it into the cache, then changes it. */
const invalidated = async (shop: Shop, reading: Reading): Promise<Reading> => {
  await ask(shop, reading.text)
  await sleep(SETTLED_AFTER_MS)
  const change = { sku: reading.word, delta: 1, reason: "bench" }
  await ask(shop, mutationText("admin.adjustStock", change, shop.admin))
  return reading
}

/** Every connection asks once, all at the same time. */
const selectsOf = async (crowds: ReadonlyArray<Connections>, log: QueryLog, { text, word }: Reading) => {
  await log.clear()
  const asking = crowds.flatMap((connections) =>
    Array.from({ length: READERS_OF_PROCESS }, async () => connections.send(text))
  )
  await Promise.all(asking)
  return log.selects(word)
}
