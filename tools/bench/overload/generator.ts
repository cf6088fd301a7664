// The load of the overload benchmark, in a process of its own: what else the measuring process does would make it late,
// and its lateness would look like the server's. It runs one phase after another, as its parent asks for them.
import { setTimeout } from "node:timers/promises"
import { percentile } from "../statistics.ts"
import { type Answer, type Connections, openConnections } from "../connections.ts"
import { type MakeRequest, makeRequests, type RequestKind } from "./requests.ts"

/** What the generator is asked to do. */
export interface Phase {
  readonly url: string
  readonly token: string
  readonly kind: RequestKind
  readonly connections: number
  readonly turnMs: number
  /** Requests a second, however long the answers take; `undefined`: each connection asks again when it is answered. */
  readonly perSecond: number | undefined
}

/** What became of the requests of a phase. */
export type PhaseFigures = Awaited<ReturnType<typeof runPhase>>

interface Sent {
  readonly answer: Answer
  readonly sentAtMs: number
  /** How much later than it was due. */
  readonly lateMs: number
}

/** The part of a turn in which a server has to find out that too much is asked of it. */
const ONSET_MS = 1_000

const runPhase = async ({ connections: count, kind, perSecond, token, turnMs, url }: Phase) => {
  const request = makeRequests(url, token)[kind]
  const connections = await openConnections(url, count)
  try {
    const sent =
      perSecond === undefined
        ? await closedLoop(connections, count, turnMs, request)
        : await openLoop(connections, perSecond, turnMs, request)
    const onset = sent.filter(({ sentAtMs }) => sentAtMs < ONSET_MS)
    const rest = sent.filter(({ sentAtMs }) => sentAtMs >= ONSET_MS)
    return {
      all: summaryOf(sent, turnMs),
      onset: summaryOf(onset, ONSET_MS),
      afterOnset: summaryOf(rest, turnMs - ONSET_MS),
      openConnections: connections.open(),
      sentLate: percentilesOf(sent.map(({ lateMs }) => lateMs))
    }
  } finally {
    connections.close()
  }
}

/** Callers who each wait for an answer before they ask again. */
const closedLoop = async (
  connections: Connections,
  callers: number,
  turnMs: number,
  request: MakeRequest
): Promise<ReadonlyArray<Sent>> => {
  const sent: Array<Sent> = []
  const startedAtMs = performance.now()
  let n = 0
  const call = async () => {
    for (;;) {
      const sentAtMs = performance.now() - startedAtMs
      if (sentAtMs >= turnMs) return
      const answer = await connections.send(request(n++))
      if (answer === undefined) return
      sent.push({ answer, sentAtMs, lateMs: 0 })
    }
  }
  await Promise.all(Array.from({ length: callers }, call))
  return sent
}

/** Requests that are sent at a rate, however long the answers take. */
const openLoop = async (
  connections: Connections,
  perSecond: number,
  turnMs: number,
  request: MakeRequest
): Promise<ReadonlyArray<Sent>> => {
  const sent: Array<Promise<Sent>> = []
  const startedAtMs = performance.now()
  for (let n = 0; ;) {
    const sentAtMs = performance.now() - startedAtMs
    if (sentAtMs >= turnMs) break
    for (const due = (sentAtMs / 1_000) * perSecond; n < due; n += 1) {
      const lateMs = sentAtMs - (n / perSecond) * 1_000
      const answer = connections.send(request(n))
      if (answer !== undefined) sent.push(answer.then((answer) => ({ answer, sentAtMs, lateMs })))
    }
    await setTimeout(1)
  }
  return await Promise.all(sent)
}

const summaryOf = (sent: ReadonlyArray<Sent>, turnMs: number) => {
  const byStatus = Map.groupBy(
    sent.map(({ answer }) => answer),
    ({ status }) => status
  )
  const perSecond = (count: number) => Math.round((count / turnMs) * 1_000)
  const figuresOf = (status: number) => {
    const answers = byStatus.get(status) ?? []
    return {
      perSecond: perSecond(answers.length),
      ...percentilesOf(answers.map(({ latencyMs }) => latencyMs))
    }
  }
  const others = [...byStatus].filter(([status]) => status !== 200 && status !== 503)
  return {
    offeredPerSecond: perSecond(sent.length),
    accepted: figuresOf(200),
    shed: figuresOf(503),
    /** By status; 0 is a connection that ended without an answer. */
    otherAnswers: Object.fromEntries(others.map(([status, answers]) => [status, answers.length]))
  }
}

const percentilesOf = (values: ReadonlyArray<number>) => ({
  p50Ms: round(percentile(values, 0.5)),
  p99Ms: round(percentile(values, 0.99))
})

const round = (ms: number): number => Math.round(ms * 100) / 100

process.on("message", (phase: Phase) => {
  void runPhase(phase).then((figures) => process.send?.(figures))
})
