import { RemoteDefect, type Result, TransportError } from "@holdfast/client-sdk"
import { setTimeout as sleep } from "node:timers/promises"

/** The server gave no definitive answer for too long. A later run continues from here. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer"
}

/** A server that crashed has this long to come back. */
const PATIENCE_MS = 120_000
const PAUSE_MS = 500

interface Failure {
  readonly _tag: string
  readonly message: string
  readonly retryable: boolean
}

/**
 * Repeats a call until its answer is definitive: a value, or an error that is not retryable. The client's own retries
 * are too short for a server that crashes and restarts.
 * @param call a query, or a mutation with an idempotency key, because it may run several times
 * @throws NoAnswer after `patienceMs`
 */
export const definitive = async <A, E extends Failure>(
  call: () => Promise<Result<A, E>>,
  signal?: AbortSignal,
  patienceMs = PATIENCE_MS
): Promise<Result<A, Exclude<E, TransportError | RemoteDefect>>> => {
  const giveUpAt = Date.now() + patienceMs
  for (;;) {
    const answer = await call()
    if (answer.ok) return answer
    const { error } = answer
    const isUnanswered = error instanceof TransportError || error instanceof RemoteDefect
    if (!isUnanswered && !error.retryable)
      return { ok: false, error: error as Exclude<E, TransportError | RemoteDefect> }
    if (!error.retryable || Date.now() + PAUSE_MS >= giveUpAt)
      throw new NoAnswer(`the server gave no answer: ${error.message}`, { cause: error })
    await sleep(PAUSE_MS, undefined, signal === undefined ? {} : { signal })
  }
}

/** The value of a call that a suitable shop always accepts; throws `Refusal` when this one does not. */
export const required = async <A, E extends Failure>(
  what: string,
  call: () => Promise<Result<A, E>>,
  signal?: AbortSignal
): Promise<A> => {
  const answer = await definitive(call, signal)
  if (answer.ok) return answer.value
  throw new Refusal(`${what} was refused: ${answer.error.message} (${answer.error._tag})`, {
    cause: answer.error
  })
}

/** The server refused a call that a suitable shop accepts. */
export class Refusal extends Error {
  override readonly name = "Refusal"
}
