import type { Contract } from "@holdfast/domain"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isReported, type Reported } from "./errors.ts"
import { callerOf, type Invoke, type InvokeOptions } from "./invoke.ts"
import { type Call, newCall } from "./links/call.ts"
import type { Failure } from "./links/failure.ts"
import { makeOperation, type Operation } from "./operation.ts"
import { isPaged, items, itemsToArray, pagedNames, pages } from "./pages.ts"
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
  const start = (input?: unknown, options?: InvokeOptions, caller?: Call["caller"]) =>
    invoke(operation, input, options, newCall(options, caller))
  const promise = (input?: unknown, options?: InvokeOptions) => {
    const call = newCall(options, callerOf(promise))
    return withResponse(invoke(operation, input, options, call), call)
  }
  const safe = (input?: unknown, options?: InvokeOptions) => toResult(start(input, options, callerOf(safe)))
  const effect = (input?: unknown, options?: InvokeOptions) =>
    toEffect((signal) => start(input, { ...options, signal }))
  const methods = [{ [name]: promise }, { [name]: safe }, { [name]: effect }]
  return isPaged(operation.procedure)
    ? methods.map((style, index) => ({ ...style, ...pageMethods(name, start)[index] }))
    : methods
}

const withResponse = (promise: Promise<unknown>, call: Call) =>
  Object.assign(promise, {
    withResponse: async () => {
      const value = await promise
      const { attempts, requestId, response } = call
      return {
        value,
        response: { requestId, attempts, status: response?.status, headers: response?.headers }
      }
    }
  })

const pageMethods = (
  name: string,
  call: (input: object, options?: InvokeOptions) => Promise<unknown>
): ReadonlyArray<Methods> => {
  const names = pagedNames(name)
  const reading = (read: typeof pages | typeof items) => (input?: object, options?: InvokeOptions) =>
    read((part) => call(part, options) as Promise<never>, input)
  const [readPages, readItems] = [reading(pages), reading(items)]
  const streaming = (read: typeof readPages) => (input?: object, options?: InvokeOptions) =>
    toStream((signal) => read(input, { ...options, signal }))
  const toArray = (all: AsyncIterable<unknown>) => ({
    autoPagingToArray: (options: { readonly limit: number }) => itemsToArray(all, options)
  })
  const toSafeArray = (all: AsyncIterable<unknown>) => ({
    autoPagingToArray: (options: { readonly limit: number }) => toResult(itemsToArray(all, options))
  })
  return [
    {
      [names.pages]: readPages,
      [names.items]: (input?: object, options?: InvokeOptions) => {
        const all = readItems(input, options)
        return Object.assign(all, toArray(all))
      }
    },
    {
      [names.pages]: (input?: object, options?: InvokeOptions) => toResults(readPages(input, options)),
      [names.items]: (input?: object, options?: InvokeOptions) => {
        const all = readItems(input, options)
        return Object.assign(toResults(all), toSafeArray(all))
      }
    },
    { [names.pages]: streaming(readPages), [names.items]: streaming(readItems) }
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
