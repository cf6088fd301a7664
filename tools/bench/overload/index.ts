/** `npm run bench -- overload`: a server with many connections and several times the requests that it can answer. */
import { createClient } from "@holdfast/client-sdk"
import { ensureAdmin, startServer } from "@holdfast/server"
import { databaseFactory, startServices } from "@holdfast/testkit"
import { fork } from "node:child_process"
import { setTimeout } from "node:timers/promises"
import { type ServerProcess, startServerProcess } from "../../src/shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL, serverSettings, UNPAID_AT_WILL } from "../../src/shop/settings.ts"
import { forEachOf } from "../../src/workers.ts"
import { residentMb } from "../processes.ts"
import { percentile } from "../statistics.ts"
import type { Phase, PhaseFigures } from "./generator.ts"
import { PRODUCTS } from "./requests.ts"

interface OverloadBenchOptions {
  readonly connections: number
  readonly times: number
  readonly turnMs: number
  readonly onProgress?: (line: string) => void
}

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
    ...ONE_MACHINE_PLAYS_ALL,
    ...UNPAID_AT_WILL,
    HOLDFAST_SECRET: "the secret of a benchmark, 32 characters",
    HOLDFAST_ARGON2_MEMORY_KIB: "8",
    HOLDFAST_ARGON2_ITERATIONS: "1",
    HOLDFAST_ORDER_EXPIRES_AFTER: "1 day",
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`
  }
  const token = await seed(environment)
  const server = await startServerProcess({ environment })
  const generator = startGenerator()
  const figures: Record<string, unknown> = {}
  try {
    for (const kind of ["reads", "orders"] as const) {
      const phase = { url: server.url, token, kind, connections: CALLERS, turnMs }
      onProgress(`${kind}: idle`)
      await generator.run({ ...phase, turnMs: turnMs / 4, perSecond: undefined })
      const idle = await generator.run({ ...phase, perSecond: IDLE_RATE })
      onProgress(`${kind}: the rate that it sustains`)
      const sustained = (await generator.run({ ...phase, perSecond: undefined })).all.accepted
      onProgress(`${kind}: ${connections} connections, ${times} x ${sustained.perSecond} requests a second`)
      const watch = watchServer(server)
      const overload = await generator.run({ ...phase, connections, perSecond: times * sustained.perSecond })
      figures[kind] = { idle: idle.all, sustained, overload, ...(await watch.stop()) }
      await setTimeout(1_000)
    }
    return { connections, times, turnMs, heapMb: HEAP_MB, ...figures }
  } finally {
    generator.stop()
    await server.stop()
    await database.drop()
  }
}

/** Starts the process that makes the load. */
const startGenerator = () => {
  const child = fork(new URL("./generator.ts", import.meta.url))
  return {
    run: (phase: Phase): Promise<PhaseFigures> =>
      new Promise((resolve, reject) => {
        const fail = () => reject(new Error("the process that makes the load has ended"))
        child.once("exit", fail)
        child.once("message", (figures) => {
          child.off("exit", fail)
          resolve(figures as PhaseFigures)
        })
        child.send(phase)
      }),
    stop: () => void child.kill()
  }
}

/** Looks at the server's memory and health until it is stopped. */
const watchServer = (server: ServerProcess) => {
  const health = watchHealth(server.url)
  const memoryMb = [residentMb(server.pid())]
  const sampling = setInterval(() => memoryMb.push(residentMb(server.pid())), 250)
  return {
    stop: async () => {
      clearInterval(sampling)
      return {
        livez: await health.stop(),
        residentMb: { first: memoryMb[0], highest: Math.max(...memoryMb), last: memoryMb.at(-1) }
      }
    }
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
      const p50Ms = round(percentile(latenciesMs, 0.5))
      return { answered: latenciesMs.length, failed, p50Ms, highestMs: round(Math.max(...latenciesMs)) }
    }
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100
