/**
 * The soak: processes book under a fenced lock while their Redis is frozen, flushed, killed and cut off, while they are
 * stopped in the middle, and while their commits are delayed. Afterwards the books must be exact.
 */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { eventually, startServices } from "@holdfast/testkit"
import { faultProxy, randomStream } from "@holdfast/testkit/faults"
import { Redis } from "ioredis"
import { createPool, type Pool, type RowDataPacket } from "mysql2/promise"
import { listenForErrors } from "../src/redis/client.ts"
import { tables } from "./books.ts"
import { chooseFaults, type Fault, sleep, type Targets } from "./soak-faults.ts"
import type { WorkerOrders } from "./soak-worker.ts"

export interface SoakOptions {
  readonly rounds: number
  readonly seed: number
  readonly onProgress?: (line: string) => void
}

/** The audit of a soak. `doubleCommits` and `overtaken` must be 0, and `counted` must equal `committed`. */
export interface SoakReport {
  readonly rounds: number
  readonly seed: number
  /** Entries in the books. */
  readonly committed: number
  /** The sum of the counters: one for each entry, unless two holders booked without seeing each other. */
  readonly counted: number
  /** Entries with the same number in the same account as another entry. */
  readonly doubleCommits: number
  /** Entries with a smaller token than an earlier entry. */
  readonly overtaken: number
  /** How the tries of all workers ended. */
  readonly outcomes: { readonly [outcome: string]: number }
  readonly faults: { readonly [fault: string]: number }
}

const WORKERS = 3
const KEYS = ["a", "b"]
const LONGEST_PAUSE_MS = 15
const PROGRESS_WITHIN_MS = 30_000

interface Stage extends Targets {
  readonly pool: Pool
  readonly outcomes: Map<string, number>
}

/** Runs the soak. Rejects when a worker exits early, as an unhandled rejection makes it, or when bookings stop. */
export const soak = async ({ onProgress = () => {}, rounds, seed }: SoakOptions): Promise<SoakReport> => {
  await using stage = await raiseStage(seed)
  const faults = new Map<string, number>()
  for (let round = 1; round <= rounds; round += 1) {
    const chosen = chooseFaults(stage.random)
    for (const { name } of chosen) faults.set(name, (faults.get(name) ?? 0) + 1)
    await Promise.all(chosen.map(({ strike }) => strike(stage)))
    await untilBooked(stage, round, chosen)
    if (round % 100 === 0) onProgress(`round ${round}: ${JSON.stringify(Object.fromEntries(stage.outcomes))}`)
  }
  await stage.stopWorkers()
  return {
    rounds,
    seed,
    ...(await audit(stage.pool)),
    outcomes: Object.fromEntries(stage.outcomes),
    faults: Object.fromEntries(faults)
  }
}

/** Waits for a booking after a round, so that locks that stay lost show up. */
const untilBooked = async (
  { outcomes, workers }: Stage,
  round: number,
  chosen: ReadonlyArray<Fault>
): Promise<void> => {
  const before = new Map(outcomes)
  const since = (outcome: string) => (outcomes.get(outcome) ?? 0) - (before.get(outcome) ?? 0)
  const endsAtMs = performance.now() + PROGRESS_WITHIN_MS
  while (since("Committed") === 0) {
    const dead = workers.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    if (dead || performance.now() > endsAtMs) {
      const names = chosen.map(({ name }) => name).join(", ")
      const seen = JSON.stringify(Object.fromEntries([...outcomes.keys()].map((name) => [name, since(name)])))
      const what = dead ? "a worker ended" : `nothing was booked for ${PROGRESS_WITHIN_MS} ms`
      throw new Error(`${what} in round ${round} (${names}); since then: ${seen}`)
    }
    await sleep(2)
  }
}

const raiseStage = async (seed: number) => {
  const services = await startServices()
  const closing: Array<() => Promise<unknown> | void> = [() => services.stop()]
  const dispose = async () => {
    for (const close of closing.toReversed()) await close()
  }
  try {
    await services.sql.createDatabase("soak")
    const pool = createPool({ uri: services.sql.url("soak"), connectionLimit: 2 })
    closing.push(() => pool.end())
    for (const statement of tables) await pool.query(statement)
    const admin = listenForErrors(
      new Redis(services.redis.url(), { retryStrategy: () => 20, maxRetriesPerRequest: 1 })
    )
    closing.push(() => admin.disconnect())
    const [redisProxy, mysqlProxy] = await Promise.all([
      faultProxy({ upstream: services.redis, protocol: "redis", seed }),
      faultProxy({ upstream: services.sql, protocol: "mysql", seed })
    ])
    closing.push(
      () => redisProxy.close(),
      () => mysqlProxy.close()
    )
    const mysqlUrl = new URL(services.sql.url("soak"))
    mysqlUrl.host = `${mysqlProxy.host}:${mysqlProxy.port}`
    const outcomes = new Map<string, number>()
    const workers = Array.from({ length: WORKERS }, () =>
      startWorker(
        {
          redisUrl: `redis://${redisProxy.host}:${redisProxy.port}`,
          mysqlUrl: mysqlUrl.href,
          keys: KEYS,
          longestPauseMs: LONGEST_PAUSE_MS
        },
        (outcome) => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      )
    )
    closing.push(() => workers.forEach((worker) => worker.kill("SIGKILL")))
    await eventually(() => (outcomes.get("Committed") ?? 0) > 0, { timeoutMs: PROGRESS_WITHIN_MS })
    const random = randomStream(seed, "soak")
    const stopWorkers = () => Promise.all(workers.map(stopWorker))
    const stage = { services, redisProxy, mysqlProxy, admin, pool, workers, random, outcomes }
    return { ...stage, stopWorkers, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

const startWorker = (orders: WorkerOrders, onOutcome: (outcome: string) => void): ChildProcess => {
  const worker = fork(fileURLToPath(new URL("./soak-worker.ts", import.meta.url)), [JSON.stringify(orders)], {
    execArgv: ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  worker.on("message", (outcome: string) => onOutcome(outcome))
  return worker
}

const STOPPED_WITHIN_MS = 20_000

const stopWorker = async (worker: ChildProcess): Promise<void> => {
  const exited = new Promise<number | null>((resolve) => worker.once("exit", resolve))
  worker.send("stop")
  const timer = setTimeout(() => worker.kill("SIGKILL"), STOPPED_WITHIN_MS)
  const code = await exited
  clearTimeout(timer)
  if (code !== 0) throw new Error(`a worker ended with ${code}`)
}

const audit = async (pool: Pool) => {
  const number = async (sql: string): Promise<number> => {
    const [rows] = await pool.query<Array<RowDataPacket>>(sql)
    return Number(Object.values(rows[0] ?? { none: 0 })[0])
  }
  return {
    committed: await number("SELECT COUNT(*) FROM entries"),
    counted: await number("SELECT COALESCE(SUM(value), 0) FROM counters"),
    doubleCommits: await number("SELECT COUNT(*) - COUNT(DISTINCT name, value) FROM entries"),
    overtaken: await number(
      "SELECT COUNT(*) FROM (SELECT token, LAG(token) OVER (PARTITION BY name ORDER BY id) AS earlier FROM entries) AS pairs WHERE token < earlier"
    )
  }
}
