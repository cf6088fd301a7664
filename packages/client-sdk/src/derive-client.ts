import type { Contract, Procedure } from "@holdfast/domain"
import { Cause, Effect, Exit, Stream } from "effect"
import { isReported, type Reported } from "./errors.ts"
import type { Failure, InvokeOptions } from "./invoke.ts"
import { makeOperation, type Operation } from "./operation.ts"
import { isPaged, items, pagedNames, pages } from "./pages.ts"
import type { CallOptions, ClientOf, Result } from "./types.ts"

/** Runs one call of an operation. */
export type RunOperation = (
  operation: Operation,
  input: unknown,
  options: InvokeOptions
) => Effect.Effect<unknown, Reported<Failure>>

/** Runs one subscription of an operation. */
type RunSubscription = (
  operation: Operation,
  input: unknown,
  signal: AbortSignal
) => AsyncGenerator<unknown, void, undefined>

/**
 * Derives the client of a contract: a loop over the procedures creates the methods, and a mapped type gives them their
 * types. A procedure that is added to the contract becomes a method without any code here.
 */
export const deriveClient = <C extends Contract>(
  contract: C,
  runOperation: RunOperation,
  runSubscription: RunSubscription
): ClientOf<C> => {
  const client: Tree = {}
  const safe: Tree = {}
  const effect: Tree = {}
  for (const [group, procedures] of Object.entries(contract)) {
    client[group] = {}
    safe[group] = {}
    effect[group] = {}
    for (const [name, procedure] of Object.entries(procedures)) {
      const operation = makeOperation(`${group}.${name}`, procedure)
      if (procedure.kind === "subscription") {
        const subscribe = (input: unknown, signal: AbortSignal) => runSubscription(operation, input, signal)
        const watch = (input?: unknown, options?: CallOptions) =>
          subscribe(input, options?.signal ?? new AbortController().signal)
        client[group][name] = watch
        safe[group][name] = (input?: unknown, options?: CallOptions) => toResults(watch(input, options))
        effect[group][name] = (input?: unknown) => toStream((signal) => subscribe(input, signal))
        continue
      }
      const call = (input?: unknown, options: InvokeOptions = {}) => runOperation(operation, input, options)
      safe[group][name] = (input?: unknown, options?: CallOptions) => toResult(call(input, options), options)
      Object.assign(effect[group], effectMethods(name, procedure, call))
      Object.assign(client[group], promiseMethods(name, procedure, call))
    }
  }
  return { ...client, safe, effect } as unknown as ClientOf<C>
}

type Tree = Record<string, Record<string, unknown>>
type EffectCall = (input?: unknown, options?: InvokeOptions) => ReturnType<RunOperation>

const promiseMethods = (name: string, procedure: Procedure, call: EffectCall): Record<string, unknown> => {
  const method = (input?: unknown, options?: CallOptions) => toPromise(call(input, options), options)
  if (!isPaged(procedure)) return { [name]: method }
  const names = pagedNames(name)
  const fetchPage = (options?: CallOptions) => (input: object) => method(input, options) as Promise<never>
  return {
    [name]: method,
    [names.pages]: (input?: object, options?: CallOptions) => pages(fetchPage(options), input),
    [names.items]: (input?: object, options?: CallOptions) => items(fetchPage(options), input)
  }
}

const effectMethods = (name: string, procedure: Procedure, call: EffectCall): Record<string, unknown> => {
  if (!isPaged(procedure)) return { [name]: call }
  const names = pagedNames(name)
  const streamOf = (read: typeof pages | typeof items) => (input?: object, options?: InvokeOptions) =>
    toStream((signal) => read((part) => toPromise(call(part, options), { signal }) as Promise<never>, input))
  return { [name]: call, [names.pages]: streamOf(pages), [names.items]: streamOf(items) }
}

/** A stream that closes the connection whenever it ends, fails or is interrupted. */
const toStream = (subscribe: (signal: AbortSignal) => AsyncIterable<unknown>) =>
  Stream.unwrap(
    Effect.map(Effect.abortSignal, (signal) =>
      Stream.fromAsyncIterable(subscribe(signal), (error) => error as Reported<Failure>)
    )
  )

/** Yields each answer as a result, and a failure as the last one. An abort is still thrown. */
async function* toResults(
  answers: AsyncIterable<unknown>
): AsyncGenerator<Result<unknown, unknown>, void, undefined> {
  try {
    for await (const value of answers) yield { ok: true, value }
  } catch (error) {
    if (!isReported(error)) throw error
    yield { ok: false, error }
  }
}

const toPromise = <A, E>(effect: Effect.Effect<A, E>, options: CallOptions | undefined): Promise<A> =>
  settle(effect, options).then((exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  })

const toResult = <A, E>(
  effect: Effect.Effect<A, E>,
  options: CallOptions | undefined
): Promise<Result<A, E>> => {
  const asResult = Effect.match(effect, {
    onSuccess: (value) => ({ ok: true, value }) as const,
    onFailure: (error) => ({ ok: false, error }) as const
  })
  return toPromise(asResult, options)
}

/** Runs an effect that the signal interrupts. An abort rejects with the signal's reason, as `fetch` does. */
const settle = async <A, E>(
  effect: Effect.Effect<A, E>,
  { signal }: CallOptions = {}
): Promise<Exit.Exit<A, E>> => {
  signal?.throwIfAborted()
  const exit = await Effect.runPromiseExit(effect, signal === undefined ? undefined : { signal })
  if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) signal?.throwIfAborted()
  return exit
}
