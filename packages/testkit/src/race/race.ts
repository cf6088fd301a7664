import { assertOptions } from "../internal/options.ts"
import { type Barrier, BarrierBroken, barrier } from "./barrier.ts"
import { settler, withDeadline } from "../internal/promises.ts"
import {
  describeCounts,
  type FulfilledOutcome,
  groupByTag,
  type Outcome,
  type RejectedOutcome
} from "./outcome.ts"

/** What each caller of a race is given besides its index. */
export interface Caller {
  readonly index: number
  /** Aborted when the race times out or is aborted. */
  readonly signal: AbortSignal
  /** Under `barrier: "ready"`: ends this caller's preparation and waits for the common start. */
  ready(): Promise<void>
}

/** How callers start, and when the race ends. */
export interface RaceOptions<A> {
  /**
   * Where the callers wait for each other. "start" (the default): before `fn` is called. "ready": inside `fn`, which
   * prepares (opens a connection, reads a row) and then awaits `caller.ready()`. A given `Barrier` is awaited before
   * `fn` and may be shared with another race.
   */
  readonly barrier?: "start" | "ready" | Barrier
  /** Time for all callers to settle, else the race rejects with `RaceTimedOut`. Default 30,000. */
  readonly timeoutMs?: number
  /** Ends the race: it rejects with the signal's reason, and the callers' signals are aborted. */
  readonly signal?: AbortSignal
  /** Which fulfilled values count as won. Default: all. */
  readonly won?: (value: A) => boolean
}

/** The outcomes of a race. */
export interface RaceResult<A> {
  /** One outcome per caller, by index. */
  readonly outcomes: ReadonlyArray<Outcome<A>>
  readonly fulfilled: ReadonlyArray<FulfilledOutcome<A>>
  readonly rejected: ReadonlyArray<RejectedOutcome>
  /** The fulfilled outcomes that count as won. */
  readonly winners: ReadonlyArray<FulfilledOutcome<A>>
  /** All other outcomes. */
  readonly losers: ReadonlyArray<Outcome<A>>
  /** From the common start to the end of the last caller. */
  readonly durationMs: number
  /** The outcomes by tag (see `tagOf`), the most frequent first. */
  byTag(): Map<string, ReadonlyArray<Outcome<A>>>
  /** The number of outcomes of each tag. */
  counts(): Record<string, number>
}

/** Not all callers settled in time. `result` holds those that did. */
export class RaceTimedOut extends Error {
  readonly _tag = "RaceTimedOut"
  readonly timeoutMs: number
  /** Indexes of the callers that were still running. */
  readonly pending: ReadonlyArray<number>
  readonly result: RaceResult<unknown>

  constructor(timeoutMs: number, pending: ReadonlyArray<number>, result: RaceResult<unknown>) {
    const shown = pending.slice(0, 10).join(", ") + (pending.length > 10 ? ", ..." : "")
    super(
      `${pending.length} of ${pending.length + result.outcomes.length} callers still ran after ${timeoutMs} ms` +
        ` (callers ${shown}); the others: ${describeCounts(result.outcomes)}`
    )
    this.name = "RaceTimedOut"
    this.timeoutMs = timeoutMs
    this.pending = pending
    this.result = result
  }
}

/**
 * Calls `fn` for `callers` callers, releases all of them at the same instant, and waits until each has settled. A
 * caller's rejection is an outcome, not a failure of the race.
 *
 * @param fn receives the caller's index (0 to callers - 1) and its `Caller`
 * @throws RaceTimedOut when a caller hangs
 * @throws BarrierBroken when a caller never reached the common start
 * @throws the reason of the signal that aborted the race
 * @throws RangeError unless `callers` is a positive integer
 */
export const race = async <A>(
  callers: number,
  fn: (index: number, caller: Caller) => A | PromiseLike<A>,
  options: RaceOptions<A> = {}
): Promise<RaceResult<A>> => {
  if (!Number.isInteger(callers) || callers < 1)
    throw new RangeError(`a race needs 1 caller or more, got ${callers}`)
  assertOptions("race", options, { barrier: true, timeoutMs: true, signal: true, won: true })
  const timeoutMs = options.timeoutMs ?? 30_000
  const inside = options.barrier === "ready"
  const start = typeof options.barrier === "object" ? options.barrier : barrier(callers, { timeoutMs })
  const controller = new AbortController()
  const settled: Array<Outcome<A>> = []
  let broken: BarrierBroken | undefined

  /** Passes the barrier and returns the time, or remembers that the race never began. */
  const passBarrier = async () => {
    await start.arrive().catch((error: unknown) => {
      if (error instanceof BarrierBroken) broken ??= error
      throw error
    })
    return performance.now()
  }

  const runCaller = async (index: number) => {
    let releasedAt = inside ? undefined : await passBarrier()
    const caller: Caller = {
      index,
      signal: controller.signal,
      ready: async () => {
        if (!inside) throw new Error('caller.ready() is for races with { barrier: "ready" }')
        releasedAt = await passBarrier()
      }
    }
    const outcome = await settle(() => fn(index, caller))
    if (releasedAt === undefined) breakBarrier(start, index, outcome)
    const durationMs = performance.now() - (releasedAt ?? performance.now())
    settled.push({ ...outcome, caller: index, durationMs })
  }

  options.signal?.throwIfAborted()
  const aborted = settler<never>()
  const abort = () => aborted.reject(options.signal?.reason)
  options.signal?.addEventListener("abort", abort)
  const all = Promise.allSettled(Array.from({ length: callers }, (_, index) => runCaller(index)))
  try {
    const late = () =>
      new RaceTimedOut(timeoutMs, pendingOf(callers, settled), raceResult([...settled], options.won))
    await withDeadline(Promise.race([all, aborted.promise]), timeoutMs, late)
  } catch (error) {
    controller.abort(error)
    start.break("the race was given up", error)
    throw error
  } finally {
    options.signal?.removeEventListener("abort", abort)
  }
  if (broken !== undefined) throw broken
  return raceResult(settled, options.won)
}

/** The indexes of the callers that have not settled. */
const pendingOf = (callers: number, settled: ReadonlyArray<Outcome<unknown>>): ReadonlyArray<number> => {
  const finished = new Set(settled.map((outcome) => outcome.caller))
  return Array.from({ length: callers }, (_, index) => index).filter((index) => !finished.has(index))
}

/** Without this caller the barrier would never open for the others. */
const breakBarrier = (start: Barrier, index: number, outcome: Settled<unknown>): void => {
  if (outcome.status === "rejected") start.break(`caller ${index} failed before it was ready`, outcome.reason)
  else start.break(`caller ${index} ended without ready()`)
}

type Settled<A> =
  | { readonly status: "fulfilled"; readonly value: A }
  | { readonly status: "rejected"; readonly reason: unknown }

const settle = async <A>(call: () => A | PromiseLike<A>): Promise<Settled<A>> => {
  try {
    return { status: "fulfilled", value: await call() }
  } catch (reason) {
    return { status: "rejected", reason }
  }
}

const raceResult = <A>(
  settled: ReadonlyArray<Outcome<A>>,
  won: (value: A) => boolean = () => true
): RaceResult<A> => {
  const outcomes = settled.toSorted((left, right) => left.caller - right.caller)
  const fulfilled = outcomes.filter((outcome) => outcome.status === "fulfilled")
  const winners = fulfilled.filter((outcome) => won(outcome.value))
  const winning = new Set<Outcome<A>>(winners)
  return {
    outcomes,
    fulfilled,
    rejected: outcomes.filter((outcome) => outcome.status === "rejected"),
    winners,
    losers: outcomes.filter((outcome) => !winning.has(outcome)),
    durationMs: Math.max(0, ...outcomes.map((outcome) => outcome.durationMs)),
    byTag: () => groupByTag(outcomes),
    counts: () => Object.fromEntries([...groupByTag(outcomes)].map(([tag, group]) => [tag, group.length]))
  }
}
