import { type Answer, type Connections, openConnections } from "../connections.ts"
import { processorTimeUs } from "../processes.ts"
import { percentile } from "../statistics.ts"
import { type Part, parts, type Shop } from "./shops.ts"

/** What is asked of a shop. */
export interface Turn {
  /** The text of the nth request; `undefined` when there is nothing more to ask. */
  readonly request: (n: number) => string | undefined
  /** The statuses that answer the question; any other one is a failure. */
  readonly expects: ReadonlyArray<number>
  readonly onAnswer?: (n: number, answer: Answer) => void
}

/** What a shop answered. */
export interface Answers {
  readonly elapsedMs: number
  readonly latenciesMs: ReadonlyArray<number>
  /** How many answers had another status than the expected one, by status. */
  readonly failures: Readonly<Record<number, number>>
}

/** Callers that each wait for an answer before they ask again, until the time is over or nothing is left to ask. */
export const closedLoop = async (
  connections: Connections,
  callers: number,
  durationMs: number,
  { expects, onAnswer, request }: Turn
): Promise<Answers> => {
  const startedAtMs = performance.now()
  const latenciesMs: Array<number> = []
  const failures: Record<number, number> = {}
  let next = 0
  const caller = async () => {
    while (performance.now() - startedAtMs < durationMs) {
      const n = next++
      const text = request(n)
      const answer = text === undefined ? undefined : await connections.send(text)
      if (answer === undefined) return
      if (expects.includes(answer.status)) latenciesMs.push(answer.latencyMs)
      else failures[answer.status] = (failures[answer.status] ?? 0) + 1
      onAnswer?.(n, answer)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { elapsedMs: performance.now() - startedAtMs, latenciesMs, failures }
}

/** Microseconds of processor time; `null` where it is unknown. */
type CpuUs = number | null

/** The figures of one kind of request. */
export interface Figures {
  /** Processor time of the server and of both stores for each request. */
  readonly cpuUs: CpuUs
  readonly cpuUsOf: Readonly<Record<Part, CpuUs>>
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
}

/** Asks a shop and measures what the answers cost. */
export const measure = async (shop: Shop, turn: Turn, callers: number, seconds: number): Promise<Figures> => {
  const connections = await openConnections(shop.url, callers)
  try {
    const before = usedBy(shop)
    const answers = await closedLoop(connections, callers, seconds * 1_000, turn)
    const after = usedBy(shop)
    return figuresOf(answers, (part) => after[part] - before[part])
  } finally {
    connections.close()
  }
}

const usedBy = (shop: Shop): Readonly<Record<Part, number>> => {
  const { redis, server, sql } = shop.pids()
  return { server: processorTimeUs(server), sql: processorTimeUs(sql), redis: processorTimeUs(redis) }
}

const figuresOf = (
  { elapsedMs, failures, latenciesMs }: Answers,
  usedUs: (part: Part) => number
): Figures => {
  const each = (us: number): CpuUs => {
    const cpuUs = us / latenciesMs.length
    return Number.isFinite(cpuUs) ? Math.round(cpuUs) : null
  }
  return {
    cpuUs: each(parts.reduce((sum, part) => sum + usedUs(part), 0)),
    cpuUsOf: { server: each(usedUs("server")), sql: each(usedUs("sql")), redis: each(usedUs("redis")) },
    perSecond: Math.round((latenciesMs.length / elapsedMs) * 1_000),
    p50Ms: rounded(percentile(latenciesMs, 0.5)),
    p99Ms: rounded(percentile(latenciesMs, 0.99)),
    failures: Object.values(failures).reduce((sum, count) => sum + count, 0)
  }
}

/** With two digits after the point. */
export const rounded = (value: number): number => Math.round(value * 100) / 100
