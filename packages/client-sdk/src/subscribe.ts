import type { InvalidInput } from "@holdfast/domain"
import { Effect, Result } from "effect"
import type { TokenSource } from "./auth/token-source.ts"
import { ownCopy, report, type Reported, TransportError } from "./errors.ts"
import type { Failure, InvokeDependencies } from "./invoke.ts"
import type { Operation } from "./operation.ts"
import { delayMs, mayRetry } from "./retry.ts"

/** Runs a subscription and yields its answers, reconnecting as often as necessary. */
type Subscribe = (
  operation: Operation,
  input: unknown,
  signal: AbortSignal,
  tokens: TokenSource | undefined
) => AsyncGenerator<unknown, void, undefined>

/**
 * Creates the function that runs subscriptions. A broken connection is reopened after the last received event until the
 * server ends the subscription. `maxAttempts` consecutive connections without an event end it with the last error, and
 * a definitive error ends it at once. The generator throws reported errors.
 */
export const makeSubscribe = (dependencies: InvokeDependencies): Subscribe =>
  async function* (operation, input, signal, tokens) {
    const { retry } = dependencies
    const state: SubscriptionState = {
      requestId: undefined,
      lastEventId: undefined,
      connections: 0,
      failures: 0,
      renewed: false
    }
    const reportOf = (error: Failure | InvalidInput): Reported<Failure> =>
      report(error, { requestId: state.requestId, idempotencyKey: undefined, attempts: state.failures })
    const run = <A>(effect: Effect.Effect<A>): Promise<A> =>
      Effect.runPromise(effect, { signal }).catch((error: unknown) => {
        signal.throwIfAborted()
        throw error
      })
    const tokenOf = async (effect: TokenSource["current"]) => {
      const result = await run(Effect.result(effect))
      if (Result.isFailure(result)) throw reportOf(ownCopy(result.failure))
      return result.success
    }

    const checked = operation.checkInput(input ?? {})
    if (Result.isFailure(checked)) throw reportOf(checked.failure)
    const source = operation.procedure.access === "public" ? undefined : tokens
    let token = source && (source.known() ?? (await tokenOf(source.current)))
    while (true) {
      signal.throwIfAborted()
      const failure = yield* connection(dependencies, operation, checked.success, token, signal, state)
      if (failure === undefined) return
      if (source !== undefined && failure._tag === "Unauthenticated" && !state.renewed) {
        state.renewed = true
        token = await tokenOf(source.renew(token))
        if (token !== undefined) continue
      }
      state.failures += 1
      if (!mayRetry("query", failure) || state.failures >= retry.maxAttempts) throw reportOf(failure)
      await run(Effect.flatMap(delayMs(retry, state.failures, failure), Effect.sleep))
    }
  }

interface SubscriptionState {
  requestId: string | undefined
  lastEventId: string | undefined
  connections: number
  /** Consecutive connections that delivered nothing. */
  failures: number
  renewed: boolean
}

/** Yields the answers of one connection and returns the error that ended it, if any. */
async function* connection(
  { onRequest, onResponse, retry, transport }: InvokeDependencies,
  operation: Operation,
  input: unknown,
  token: string | undefined,
  signal: AbortSignal,
  state: SubscriptionState
): AsyncGenerator<unknown, Failure | undefined, undefined> {
  const { name: procedure } = operation
  const { kind } = operation.procedure
  state.connections += 1
  const event = { procedure, kind, attempt: state.connections, idempotencyKey: undefined }
  const openedAt = Date.now()
  let failure: Failure | undefined
  onRequest?.(event)
  const items = transport.open(
    {
      procedure,
      input,
      token,
      lastEventId: state.lastEventId,
      timeoutMs: retry.attemptTimeoutMs,
      onRequestId: (requestId) => void (state.requestId = requestId),
      onAlive: () => {
        state.failures = 0
        state.renewed = false
      }
    },
    signal
  )
  try {
    failure = yield* answersOf(operation, items, state)
    return failure
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof TransportError)) throw error
    failure = error
    return failure
  } finally {
    onResponse?.({
      ...event,
      requestId: state.requestId,
      durationMs: Date.now() - openedAt,
      error: failure
    })
  }
}

async function* answersOf(
  operation: Operation,
  items: ReturnType<InvokeDependencies["transport"]["open"]>,
  state: SubscriptionState
): AsyncGenerator<unknown, Failure | undefined, undefined> {
  for await (const item of items) {
    if (!item.ok) {
      state.requestId = item.error.requestId ?? state.requestId
      return operation.decodeError(item.error)
    }
    const output = operation.decodeOutput(item.output)
    if (Result.isFailure(output)) return output.failure
    if (item.id !== undefined) state.lastEventId = item.id
    yield output.success
  }
  return undefined
}
