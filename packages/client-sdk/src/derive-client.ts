import type { Contract } from "@holdfast/domain"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isReported, type Reported } from "./errors.ts"
import type { Invoke, InvokeOptions } from "./invoke.ts"
import type { Failure } from "./links/failure.ts"
import { makeOperation, type Operation } from "./operation.ts"
import { isPaged, items, pagedNames, pages } from "./pages.ts"
import type { Subscribe } from "./subscribe.ts"
import type { CallOptions, ClientOf, Result } from "./types.ts"

type Methods = Record<string, unknown>
type Tree = Record<string, Methods>

/**
 * Derives the client of a contract: a loop over the procedures creates the methods, and a mapped type gives them their
 * types. A procedure that is added to the contract becomes a method without any code here.
 */
export const deriveClient = <C extends Contract>(
  contract: C,
  invoke: Invoke,
  subscribe: Subscribe
): ClientOf<C> => {
  const client: Tree = {}
  const safe: Tree = {}
  const effect: Tree = {}
  for (const [group, procedures] of Object.entries(contract)) {
    const styles = [(client[group] = {}), (safe[group] = {}), (effect[group] = {})] as const
    for (const [name, procedure] of Object.entries(procedures)) {
      const operation = makeOperation(`${group}.${name}`, procedure)
      const methods =
        procedure.kind === "subscription"
          ? subscriptionMethods(operation, name, subscribe)
          : callMethods(operation, name, invoke)
      styles.forEach((style, index) => Object.assign(style, methods[index]))
    }
  }
  return { ...client, safe, effect } as unknown as ClientOf<C>
}

/** The methods of a subscription in the three styles. */
const subscriptionMethods = (
  operation: Operation,
  name: string,
  subscribe: Subscribe
): ReadonlyArray<Methods> => {
  const watch = (input?: unknown, options?: CallOptions) => subscribe(operation, input, options?.signal)
  return [
    { [name]: watch },
    { [name]: (input?: unknown, options?: CallOptions) => toResults(watch(input, options)) },
    { [name]: (input?: unknown) => toStream((signal) => watch(input, { signal })) }
  ]
}

/** The methods of everything else in the three styles. */
const callMethods = (operation: Operation, name: string, invoke: Invoke): ReadonlyArray<Methods> => {
  const call = (input?: unknown, options?: InvokeOptions) => invoke(operation, input, options)
  const methods: ReadonlyArray<Methods> = [
    { [name]: call },
    { [name]: (input?: unknown, options?: InvokeOptions) => toResult(call(input, options)) },
    {
      [name]: (input?: unknown, options?: InvokeOptions) =>
        toEffect((signal) => call(input, { ...options, signal }))
    }
  ]
  return isPaged(operation.procedure)
    ? methods.map((style, index) => ({ ...style, ...pageMethods(name, call)[index] }))
    : methods
}

const pageMethods = (
  name: string,
  call: (input: object, options?: InvokeOptions) => Promise<unknown>
): ReadonlyArray<Methods> => {
  const names = pagedNames(name)
  const reading = (read: typeof pages | typeof items) => (input?: object, options?: InvokeOptions) =>
    read((part) => call(part, options) as Promise<never>, input)
  const streaming = (read: typeof pages | typeof items) => (input?: object, options?: InvokeOptions) =>
    toStream((signal) => reading(read)(input, { ...options, signal }))
  return [
    { [names.pages]: reading(pages), [names.items]: reading(items) },
    {},
    { [names.pages]: streaming(pages), [names.items]: streaming(items) }
  ]
}

/** An effect of a promise, which interruption aborts. What is not an error of the call is a defect. */
const toEffect = (
  start: (signal: AbortSignal) => Promise<unknown>
): Effect.Effect<unknown, Reported<Failure>> =>
  Effect.callback((resume) => {
    const controller = new AbortController()
    start(controller.signal).then(
      (value) => resume(Effect.succeed(value)),
      (error: unknown) =>
        resume(isReported(error) ? Effect.fail(error as Reported<Failure>) : Effect.die(error))
    )
    return Effect.sync(() => controller.abort())
  })

/** A stream that closes the connection whenever it ends, fails or is interrupted. */
const toStream = (subscribe: (signal: AbortSignal) => AsyncIterable<unknown>) =>
  Stream.unwrap(
    Effect.map(Effect.abortSignal, (signal) =>
      Stream.fromAsyncIterable(subscribe(signal), (error) => error as Reported<Failure>)
    )
  )

/** The outcome as a value. An abort still rejects. */
const toResult = (promise: Promise<unknown>): Promise<Result<unknown, unknown>> =>
  promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => {
      if (!isReported(error)) throw error
      return { ok: false, error }
    }
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
