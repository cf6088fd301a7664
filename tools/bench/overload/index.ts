/** `npm run bench -- overload`: a server with many connections and several times the requests that it can answer. */
import { createClient } from "@holdfast/client-sdk"
import { ensureAdmin, startServer } from "@holdfast/server"
import { databaseFactory, startServices } from "@holdfast/testkit"
import { setTimeout } from "node:timers/promises"
import { startServerProcess } from "../../src/shop/server-process.ts"
import { serverSettings } from "../../src/shop/settings.ts"
import { forEachOf } from "../../src/workers.ts"
import { type Answer, type Connections, openConnections } from "../connections.ts"
import { residentMb } from "../processes.ts"
import { percentile } from "../statistics.ts"

interface OverloadBenchOptions {
  readonly connections: number
  readonly times: number
  readonly turnMs: number
  readonly onProgress?: (line: string) => void
}

const PRODUCTS = 50
const ADMIN = { email: "admin@bench.test", password: "a password" }
const IDLE_RATE = 50
const CALLERS = 16
const HEAP_MB = 512

/** The latencies of an idle server, and of what the same server accepts when it is asked for several times too much. */
export const run = async ({ connections, onProgress = () => {}, times, turnMs }: OverloadBenchOptions) => {
  await using services = await startServices()
  const database = await (await databaseFactory(services.sql)).create()
  const environment = {
    HOLDFAST_MYSQL_URL: services.sql.url(database.name),
    HOLDFAST_REDIS_URL: services.redis.url(),
    HOLDFAST_SECRET: "the secret of a benchmark, 32 characters",
    HOLDFAST_ARGON2_MEMORY_KIB: "8",
    HOLDFAST_ARGON2_ITERATIONS: "1",
    HOLDFAST_ORDER_EXPIRES_AFTER: "1 day",
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`
  }
  const token = await seed(environment)
  const server = await startServerProcess({ environment })
  const host = `host: ${new URL(server.url).host}`
  const kinds = { reads: readOf(host), orders: orderOf(host, token) }
  const figures: Record<string, unknown> = {}
  try {
    for (const [kind, request] of Object.entries(kinds)) {
      onProgress(`${kind}: idle`)
      const few = await openConnections(server.url, CALLERS)
      await closedLoop(few, turnMs / 4, request)
      const idle = await openLoop(few, IDLE_RATE, turnMs, request)
      onProgress(`${kind}: the rate that it sustains`)
      const sustained = await closedLoop(few, turnMs, request)
      few.close()
      onProgress(`${kind}: ${connections} connections, ${times} x ${sustained} requests a second`)
      const many = await openConnections(server.url, connections)
      const health = watchHealth(server.url)
      const memoryMb = [residentMb(server.pid())]
      const sampling = setInterval(() => memoryMb.push(residentMb(server.pid())), 250)
      const overload = await openLoop(many, times * sustained, turnMs, request)
      clearInterval(sampling)
      figures[kind] = {
        idle: summaryOf(idle, turnMs),
        sustainedPerSecond: sustained,
        overload: { ...summaryOf(overload, turnMs), openConnections: many.open() },
        livez: await health.stop(),
        residentMb: { first: memoryMb[0], highest: Math.max(...memoryMb), last: memoryMb.at(-1) }
      }
      many.close()
      await setTimeout(1_000)
    }
    return { connections, times, turnMs, heapMb: HEAP_MB, ...figures }
  } finally {
    await server.stop()
    await database.drop()
  }
}

/** Creates the administrator and the products. */
const seed = async (environment: Readonly<Record<string, string>>): Promise<string> => {
  const settings = await serverSettings({}, { ...environment, HOST: "127.0.0.1", PORT: "0" })
  const server = await startServer({ ...settings, workers: false }, { logLevel: "None" })
  try {
    await server.runtime.runPromise(ensureAdmin(ADMIN.email, ADMIN.password))
    const admin = createClient({ url: server.url, auth: ADMIN })
    await forEachOf([...Array(PRODUCTS).keys()], CALLERS, async (n) => {
      await admin.admin.createProduct({
        sku: `sku-${n}`,
        name: `Product ${n}`,
        priceMinor: 1,
        initialStock: 1_000_000
      })
    })
    return (await admin.auth.login(ADMIN)).accessToken
  } finally {
    await server.stop()
  }
}

type MakeRequest = (n: number) => string

const readOf =
  (host: string): MakeRequest =>
  (n) =>
    `GET /trpc/products.bySku?input=${encodeURIComponent(JSON.stringify({ sku: `sku-${n % PRODUCTS}` }))} HTTP/1.1\r\n${host}\r\n\r\n`

const orderOf =
  (host: string, token: string): MakeRequest =>
  (n) => {
    const body = JSON.stringify({ lines: [{ sku: `sku-${n % PRODUCTS}`, quantity: 1 + (n % 1_000) }] })
    const headers = [
      host,
      `authorization: Bearer ${token}`,
      "content-type: application/json",
      `content-length: ${body.length}`
    ]
    return `POST /trpc/orders.create HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n${body}`
  }

/** Requests a second that callers get answered who each wait for an answer before they ask again. */
const closedLoop = async (
  connections: Connections,
  turnMs: number,
  request: MakeRequest
): Promise<number> => {
  const startedAtMs = performance.now()
  let answered = 0
  let n = 0
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (performance.now() - startedAtMs < turnMs) {
        const answer = await connections.send(request(n++))
        if (answer?.status === 200) answered += 1
      }
    })
  )
  return Math.round((answered / (performance.now() - startedAtMs)) * 1_000)
}

/** The answers to requests that are sent at a rate, however long the answers take. */
const openLoop = async (
  connections: Connections,
  perSecond: number,
  turnMs: number,
  request: MakeRequest
): Promise<ReadonlyArray<Answer>> => {
  const sent: Array<Promise<Answer>> = []
  const startedAtMs = performance.now()
  for (let n = 0; ;) {
    const elapsedMs = performance.now() - startedAtMs
    if (elapsedMs >= turnMs) break
    for (const due = (elapsedMs / 1_000) * perSecond; n < due; n += 1) {
      const answer = connections.send(request(n))
      if (answer !== undefined) sent.push(answer)
    }
    await setTimeout(1)
  }
  return await Promise.all(sent)
}

const summaryOf = (answers: ReadonlyArray<Answer>, turnMs: number) => {
  const accepted = answers.filter(({ status }) => status === 200)
  const shed = answers.filter(({ status }) => status === 503)
  const latencies = (of: ReadonlyArray<Answer>) => {
    const values = of.map(({ latencyMs }) => latencyMs)
    return { p50Ms: round(percentile(values, 0.5)), p99Ms: round(percentile(values, 0.99)) }
  }
  return {
    offeredPerSecond: Math.round((answers.length / turnMs) * 1_000),
    accepted: { perSecond: Math.round((accepted.length / turnMs) * 1_000), ...latencies(accepted) },
    shed: { perSecond: Math.round((shed.length / turnMs) * 1_000), ...latencies(shed) },
    otherAnswers: answers.length - accepted.length - shed.length
  }
}

/** Asks for the process's health ten times a second, on a new connection each time. */
const watchHealth = (url: string) => {
  const latenciesMs: Array<number> = []
  let failed = 0
  const end = new AbortController()
  const watching = (async () => {
    while (!end.signal.aborted) {
      const startedAtMs = performance.now()
      const isAlive = await fetch(`${url}/livez`, { headers: { connection: "close" } }).then(
        async (response) => (await response.text(), response.ok),
        () => false
      )
      if (isAlive) latenciesMs.push(performance.now() - startedAtMs)
      else failed += 1
      await setTimeout(100)
    }
  })()
  return {
    stop: async () => {
      end.abort()
      await watching
      return { answered: latenciesMs.length, failed, highestMs: round(Math.max(...latenciesMs)) }
    }
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100
