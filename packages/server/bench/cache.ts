// What keeping reads in Redis is worth: the same reads on a server with the cache and on one without, in turns.
import { contract, type InputOf, type Procedure } from "@holdfast/domain"
import { startServices } from "@holdfast/testkit"
import { randomUUID } from "node:crypto"
import { createPool } from "mysql2/promise"
import { ensureAdmin } from "../src/modules/auth/service.ts"
import { startServer } from "../src/server.ts"
import { makeRawClient, type RawClient } from "../test/raw-client.ts"
import { testSettings } from "../test/settings.ts"

const PRODUCTS = 2_000
const READERS = 16
const TURNS = 5

/** Reads a second by kind: without and with the cache, medians of the turns, and their ratio. */
export const run = async ({ turnMs = 1_000 }: { readonly turnMs?: number } = {}) => {
  const services = await startServices()
  const database = `b_${randomUUID().replaceAll("-", "")}`
  await services.sql.createDatabase(database)
  const settings = testSettings(services.sql.url(database), services.redis.url())
  const servers = {
    without: await startServer(settings, { logLevel: "None" }),
    with: await startServer({ ...settings, cache: { freshMs: 5_000, staleMs: 30_000 } }, { logLevel: "None" })
  }
  try {
    await seed(services.sql.url(database))
    await servers.without.runtime.runPromise(ensureAdmin("admin@bench.test", "a password"))
    const clients = { without: makeRawClient(servers.without.url), with: makeRawClient(servers.with.url) }
    const login = await clients.with(contract.auth.login, {
      email: "admin@bench.test",
      password: "a password"
    })
    if (!login.ok) throw new Error(login.body)
    const token = login.value.accessToken
    const reads = {
      "product of 50": (client: RawClient, n: number) =>
        ask(client, contract.products.bySku, { sku: `sku-${n % 50}` }),
      "page of 20": (client: RawClient) => ask(client, contract.products.page, {}),
      "categories page of 100": (client: RawClient) =>
        ask(client, contract.products.page, { limit: 100, category: "shelf-1" }),
      "top sellers": (client: RawClient) => ask(client, contract.products.topSellers, {}),
      balance: (client: RawClient) => ask(client, contract.points.balance, {}, token)
    }
    const figures: Record<string, unknown> = {}
    for (const [name, read] of Object.entries(reads)) {
      const rates: Record<"without" | "with", Array<number>> = { without: [], with: [] }
      for (let turn = 0; turn < TURNS; turn++)
        for (const side of ["without", "with"] as const)
          rates[side].push(await rateOf(turnMs, (n) => read(clients[side], n)))
      const [without, kept] = [median(rates.without), median(rates.with)]
      figures[name] = { without, with: kept, ratio: Math.round((kept / without) * 100) / 100 }
    }
    return { readsPerSecond: figures, readers: READERS, turns: TURNS, turnMs }
  } finally {
    await Promise.all([servers.without.stop(), servers.with.stop()])
    await services.stop()
  }
}

const seed = async (url: string) => {
  const pool = createPool({ uri: url, connectionLimit: 1 })
  const products = Array.from({ length: PRODUCTS }, (_, n) => [
    `sku-${n}`,
    `Product ${n}`,
    `shelf-${n % 10}`,
    100,
    10
  ])
  await pool.query("INSERT INTO products (sku, name, category, price_minor, stock) VALUES ?", [products])
  await pool.query("INSERT INTO stock_ledger (sku, delta, kind) SELECT sku, stock, 'initial' FROM products")
  await pool.end()
}

const ask = async <P extends Procedure>(
  client: RawClient,
  procedure: P,
  input: InputOf<P>,
  token?: string
) => {
  const answer = await client(procedure, input, { token })
  if (!answer.ok) throw new Error(answer.body)
}

const rateOf = async (turnMs: number, read: (n: number) => Promise<void>): Promise<number> => {
  const startedAtMs = performance.now()
  let done = 0
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      while (performance.now() - startedAtMs < turnMs) await read(done++)
    })
  )
  return Math.round((done / (performance.now() - startedAtMs)) * 1_000)
}

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
