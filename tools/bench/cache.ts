/** `npm run bench -- cache`: the same reads on a server with its cache in Redis and on one without, in turns. */
import { createClient } from "@holdfast/client-sdk"
import { ensureAdmin, startServer } from "@holdfast/server"
import { databaseFactory, startServices } from "@holdfast/testkit"
import { ONE_MACHINE_PLAYS_ALL, serverSettings } from "../src/shop/settings.ts"
import { forEachOf } from "../src/workers.ts"
import { median } from "./statistics.ts"

interface CacheBenchOptions {
  readonly turnMs: number
}

const PRODUCTS = 2_000
const CAMPAIGNS = 30
const READERS = 16
const DAY_MS = 86_400_000
const TURNS = 5
const ADMIN = { email: "admin@bench.test", password: "a password" }

type Read = (url: string, n: number) => Promise<void>

/** Reads a second of each kind, without and with the cache: medians of the turns, and their ratio. */
export const run = async ({ turnMs }: CacheBenchOptions) => {
  await using services = await startServices()
  const database = await (await databaseFactory(services.sql)).create()
  const settings = await serverSettings(
    {},
    {
      HOLDFAST_MYSQL_URL: services.sql.url(database.name),
      HOLDFAST_REDIS_URL: services.redis.url(),
      ...ONE_MACHINE_PLAYS_ALL,
      HOLDFAST_SECRET: "the secret of a benchmark, 32 characters",
      HOLDFAST_ARGON2_MEMORY_KIB: "8",
      HOLDFAST_ARGON2_ITERATIONS: "1",
      HOST: "127.0.0.1",
      PORT: "0"
    }
  )
  const start = (cache: typeof settings.cache) =>
    startServer({ ...settings, cache, workers: false }, { logLevel: "None" })
  const servers = { without: await start(undefined), with: await start({ freshMs: 5_000, staleMs: 30_000 }) }
  try {
    await servers.without.runtime.runPromise(ensureAdmin(ADMIN.email, ADMIN.password))
    const seeded = await seed(servers.without.url)
    const figures: Record<string, { without: number; with: number; ratio: number }> = {}
    for (const [name, read] of Object.entries(readsAs(seeded))) {
      const rates: Record<"without" | "with", Array<number>> = { without: [], with: [] }
      for (let turn = 0; turn < TURNS; turn++)
        for (const side of ["without", "with"] as const)
          rates[side].push(await rateOf(turnMs, (n) => read(servers[side].url, n)))
      const [without, cached] = [median(rates.without), median(rates.with)]
      figures[name] = { without, with: cached, ratio: Math.round((cached / without) * 100) / 100 }
    }
    return { readsPerSecond: figures, readers: READERS, turns: TURNS, turnMs }
  } finally {
    await Promise.all([servers.without.stop(), servers.with.stop()])
    await database.drop()
  }
}

interface Seeded {
  /** The administrator's. */
  readonly token: string
  readonly couponId: string
}

/** Creates products and campaigns. */
const seed = async (url: string): Promise<Seeded> => {
  const admin = createClient({ url, auth: ADMIN })
  await forEachOf([...Array(PRODUCTS).keys()], READERS, async (n) => {
    const product = { sku: `sku-${n}`, name: `Product ${n}`, category: `shelf-${n % 10}` }
    await admin.admin.createProduct({ ...product, priceMinor: 100, initialStock: 10 })
  })
  let couponId = ""
  for (let n = 0; n < CAMPAIGNS; n += 1) couponId = (await admin.admin.createCoupon(campaign(n))).id
  const { accessToken } = await admin.auth.login(ADMIN)
  return { token: accessToken, couponId }
}

const campaign = (n: number) => ({
  name: `Campaign ${n}`,
  discount: { kind: "percent" as const, percent: 10 },
  minimumOrderMinor: 0,
  quantity: 1_000,
  startsAt: new Date(Date.now() - DAY_MS).toISOString(),
  endsAt: new Date(Date.now() + DAY_MS).toISOString(),
  validDays: 7
})

/** Plain HTTP requests, because decoding the answers would cost this process more than the server. */
const readsAs = ({ couponId, token }: Seeded): Readonly<Record<string, Read>> => ({
  "product of 50": (url, n) => ask(url, "products.bySku", { sku: `sku-${n % 50}` }),
  "page of 20": (url) => ask(url, "products.page", {}),
  "categories page of 100": (url) => ask(url, "products.page", { limit: 100, category: "shelf-1" }),
  search: (url, n) => ask(url, "products.search", { text: `product ${n % 50}` }),
  categories: (url) => ask(url, "products.categories", {}),
  "one campaign": (url) => ask(url, "coupons.byId", { couponId }),
  "campaigns of 20": (url) => ask(url, "coupons.page", {}),
  "top sellers": (url) => ask(url, "products.topSellers", {}),
  balance: (url) => ask(url, "points.balance", {}, { authorization: `Bearer ${token}` })
})

const ask = async (
  url: string,
  query: string,
  input: object,
  headers: Readonly<Record<string, string>> = {}
): Promise<void> => {
  const response = await fetch(`${url}/trpc/${query}?input=${encodeURIComponent(JSON.stringify(input))}`, {
    headers
  })
  const body = await response.text()
  if (!response.ok) throw new Error(body)
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
