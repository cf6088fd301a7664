/** `npm run soak -- faults`: a shop on two servers under load, while a seeded schedule breaks its parts. */
import { createClient } from "@holdfast/client-sdk"
import { availableParallelism, loadavg } from "node:os"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { dataDirectory } from "../../src/shop/data-directory.ts"
import { balancedFetch } from "./balanced-fetch.ts"
import { Market } from "./customers.ts"
import {
  CALL_DEADLINE_MS,
  FLAT_MEGABYTES_PER_MINUTE,
  MEMORY_WATCH_MINUTES,
  PEAK_MEGABYTES,
  REQUEST_DEADLINE_MS,
  SLACK_MS
} from "./deadlines.ts"
import { Disturbances } from "./disturbances.ts"
import { faults } from "./faults.ts"
import { Findings } from "./findings.ts"
import { Load } from "./load.ts"
import { memoryTrends, watchMemory } from "./memory.ts"
import { runPhase, type Surroundings, untilWhole } from "./phase.ts"
import { type Phase, reportText, type SoakReport, summariseCalls, summariseFaults } from "./report.ts"
import { type PlannedFault, schedule } from "./schedule.ts"
import { raiseStage, serverNames, type Stage } from "./stage.ts"

interface FaultSoakOptions {
  readonly minutes: number
  /** Decides the faults, their order and their lengths. */
  readonly seed: number
  /** Calls of each kind a second. */
  readonly rate: number
  /** Leaves out the faults whose name does not contain it. */
  readonly only: string
  readonly json: boolean
}

const FIRST_CUSTOMERS = 20
const WARM_UP_MS = 180_000
const MINUTE_MS = 60_000

/** Runs the soak and prints its report. The exit code is 1 when a check failed. */
export const run = async ({ json, ...options }: FaultSoakOptions): Promise<number> => {
  const report = await soak(options)
  console.log(json ? JSON.stringify(report) : reportText(report))
  return report.ok ? 0 : 1
}

const soak = async ({ minutes, only, rate, seed }: Omit<FaultSoakOptions, "json">): Promise<SoakReport> => {
  const names = Object.keys(faults).filter((name) => name.includes(only))
  if (names.length === 0)
    throw new Error(`no fault is named like "${only}"; known: ${Object.keys(faults).join(", ")}`)
  const startedAtMs = performance.now()
  const nowMs = () => performance.now() - startedAtMs
  const note = (line: string) => console.error(`${(nowMs() / 1_000).toFixed(1).padStart(7)} s  ${line}`)
  const logDirectory = dataDirectory(`soak-${seed}`)
  const disturbances = new Disturbances()
  const fault = () => disturbances.latest
  const findings = new Findings({ seed, nowMs, fault, onFinding: note })
  note(`${minutes} minutes, seed ${seed}; the servers' logs go to ${logDirectory}`)
  await using stage = await raiseStage({
    seed,
    logDirectory,
    note,
    onUnexpectedEnd: (server) => findings.add("process", `${server} ended by itself`)
  })
  const market = openMarket(stage, disturbances, findings)
  await market.openShop(FIRST_CUSTOMERS)
  const memory = watchMemory(stage)
  const eventLoop = monitorEventLoopDelay()
  eventLoop.enable()
  await using load = new Load(market, findings, rate)
  await untilWhole(load, performance.now(), WARM_UP_MS).catch((cause: unknown) => {
    const busy = `load average ${(loadavg()[0] ?? 0).toFixed(1)} on ${availableParallelism()} processors`
    throw new Error(`the service is not whole, although no fault struck it (${busy})`, { cause })
  })
  findings.isWatching = true
  note("the service is whole; the faults begin")

  const surroundings = { stage, market, load, findings, disturbances, note, nowMs }
  const phases = await strike(surroundings, schedule(seed, names), nowMs() + minutes * MINUTE_MS)
  await load.stop()
  const trends = memoryTrends(memory.stop())
  checkMemory(trends, findings)
  return {
    ok: findings.all.length === 0,
    seed,
    minutes,
    rate,
    ownDelayMs: { p99: eventLoop.percentile(99) / 1e6, worst: eventLoop.max / 1e6 },
    leftOut: load.leftOut,
    loadAverage: loadavg()[0] ?? 0,
    faults: summariseFaults(phases, findings.all),
    calls: summariseCalls(load.ended),
    memory: trends,
    phases,
    findings: findings.all,
    logDirectory
  }
}

/** Strikes as planned until it is time to end. What keeps the soak from going on is a finding, too. */
const strike = async (
  surroundings: Surroundings,
  planned: Iterable<PlannedFault<string>>,
  untilMs: number
): Promise<ReadonlyArray<Phase>> => {
  const phases: Array<Phase> = []
  const { findings, nowMs } = surroundings
  try {
    for (const fault of planned) {
      if (nowMs() >= untilMs) break
      phases.push(await runPhase(surroundings, fault))
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    findings.add("process", `the soak cannot go on: ${why}`)
  }
  return phases
}

const openMarket = ({ admin, proxies }: Stage, disturbances: Disturbances, findings: Findings): Market => {
  const servers = serverNames.map((name) => ({
    name,
    url: `http://${proxies[name].host}:${proxies[name].port}`
  }))
  const fetch = balancedFetch(servers, ({ path, server, startedAtMs, waitedMs }) => {
    // The client gives up after the deadline. A server that is frozen or out of reach cannot answer.
    if (waitedMs < REQUEST_DEADLINE_MS - SLACK_MS || disturbances.touched(server, startedAtMs)) return
    findings.add("deadline", `${server} gave no answer to ${path} within ${REQUEST_DEADLINE_MS} ms`)
  })
  const connect = (auth?: { readonly email: string; readonly password: string }) =>
    createClient({
      url: "http://soak.example",
      fetch,
      timeoutMs: CALL_DEADLINE_MS,
      retry: { attemptTimeoutMs: REQUEST_DEADLINE_MS },
      ...(auth === undefined ? {} : { auth })
    })
  return new Market(connect(admin), connect)
}

const checkMemory = (trends: ReturnType<typeof memoryTrends>, findings: Findings): void => {
  for (const { megabytesPerMinute, minutes, peakMegabytes, server } of trends) {
    if (peakMegabytes > PEAK_MEGABYTES)
      findings.add("memory", `${server} took ${Math.round(peakMegabytes)} MB, at most ${PEAK_MEGABYTES}`)
    if (minutes >= MEMORY_WATCH_MINUTES && megabytesPerMinute > FLAT_MEGABYTES_PER_MINUTE)
      findings.add(
        "memory",
        `${server} grew by ${megabytesPerMinute.toFixed(1)} MB a minute, at most ${FLAT_MEGABYTES_PER_MINUTE}`
      )
  }
}
