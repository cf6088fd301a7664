import { RemoteDefect } from "@holdfast/client-sdk"
import { calls } from "./calls.ts"
import { type Ask, type Market } from "./customers.ts"
import { LATEST_ANSWER_MS } from "./deadlines.ts"
import type { Findings } from "./findings.ts"
import type { EndedCall } from "./recovery.ts"

/**
 * `ok`: answered, a rightful refusal included. `unavailable`: a retryable error. `defect`: an undeclared answer.
 * `wrong`: a definitive error that the call did not deserve.
 */
export type CallOutcome = "ok" | "unavailable" | "defect" | "wrong"

interface LoadCall extends EndedCall {
  readonly tookMs: number
  readonly outcome: CallOutcome
}

export const callKinds = Object.keys(calls)

/** So many seconds' calls of a kind are in flight at most. Beyond it calls are left out: an outage builds up no queue. */
const SECONDS_IN_FLIGHT = 2

/** Calls of every kind at a fixed rate, however slow earlier calls are, until it is stopped. */
export class Load implements AsyncDisposable {
  readonly ended: Array<LoadCall> = []
  /** Calls that were left out because too many of their kind were in flight. */
  leftOut = 0
  readonly #market: Market
  readonly #findings: Findings
  readonly #running = new Set<Promise<void>>()
  readonly #timers: ReadonlyArray<NodeJS.Timeout>

  /** @param rate calls of each kind a second */
  constructor(market: Market, findings: Findings, rate: number) {
    this.#market = market
    this.#findings = findings
    this.#timers = callKinds.map((kind) => {
      const inFlight = new Set<Promise<void>>()
      let turn = 0
      return setInterval(() => {
        if (inFlight.size >= rate * SECONDS_IN_FLIGHT) return void (this.leftOut += 1)
        const running = this.#run(kind, turn++).finally(() => {
          inFlight.delete(running)
          this.#running.delete(running)
        })
        inFlight.add(running)
        this.#running.add(running)
      }, 1_000 / rate)
    })
  }

  /** Starts no more calls and waits for those in flight. */
  async stop(): Promise<void> {
    this.#timers.forEach((timer) => clearInterval(timer))
    await Promise.all(this.#running)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #run(kind: string, turn: number): Promise<void> {
    const startedAtMs = performance.now()
    const outcome = await this.#outcomeOf(kind, calls[kind]!(this.#market, this.#askFor(kind), turn))
    const endedAtMs = performance.now()
    const tookMs = endedAtMs - startedAtMs
    this.ended.push({ kind, endedAtMs, tookMs, outcome, succeeded: outcome === "ok" })
  }

  #askFor(kind: string): Ask {
    return async (call, ...refusals) => {
      const startedAtMs = performance.now()
      try {
        return await call
      } catch (error) {
        if (refusals.includes(tagOf(error))) return undefined
        throw error
      } finally {
        if (performance.now() - startedAtMs > LATEST_ANSWER_MS)
          this.#findings.add("deadline", `a call of ${kind} took longer than ${LATEST_ANSWER_MS} ms`)
      }
    }
  }

  async #outcomeOf(kind: string, call: Promise<unknown>): Promise<CallOutcome> {
    try {
      await call
      return "ok"
    } catch (error) {
      const outcome = outcomeOfError(error)
      if (outcome !== "unavailable") this.#findings.add("answer", `${kind}: ${describe(error)}`)
      return outcome
    }
  }
}

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""

/** What an error says about the service. The reason of an aborted subscription counts as no answer. */
export const outcomeOfError = (error: unknown): CallOutcome => {
  if (error instanceof RemoteDefect) return "defect"
  const isRetryable = typeof error === "object" && error !== null && "retryable" in error && error.retryable
  return isRetryable === true || (error instanceof Error && error.name === "TimeoutError")
    ? "unavailable"
    : "wrong"
}

/** Without ids, so that the same fault reads the same. */
const describe = (error: unknown): string => {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID").replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
}
