import { observable } from "@trpc/server/observable"
import type { Hooks, RequestEvent, ResponseEvent } from "../hooks.ts"
import type { FetchResponse } from "../transport/responses.ts"
import { type Call, entered, type HoldfastLink, procedureAt } from "./call.ts"
import { type ClientError, failureOf } from "./failure.ts"

/** Calls the hooks before and after every request. It stands below whatever repeats requests. */
export const hooksLink =
  (hooks: Hooks): HoldfastLink =>
  () => {
    const tellDeprecation = deprecationTeller(hooks)
    return (options) => {
      const { call, op } = entered(options.op)
      return observable((observer) => {
        const { path } = op
        call.attempts += 1
        call.requestId = undefined
        const kind = procedureAt(path)?.kind ?? op.type
        const request = { procedure: path, kind, attempt: call.attempts, idempotencyKey: call.key }
        tell(hooks.onRequest, request)
        const tellEnd = responseTeller(hooks, call, request)
        const isStream = op.type === "subscription"
        const sent = options.next(op).subscribe({
          next: (envelope) => {
            tellDeprecation(path, envelope.context?.["response"])
            if (!isStream) tellEnd(undefined)
            observer.next(envelope)
          },
          error: (error) => {
            const failure = failureOf(path, error as ClientError)
            if (failure !== undefined) tellEnd(failure)
            observer.error(error)
          },
          complete: () => {
            tellEnd(undefined)
            observer.complete()
          }
        })
        return () => {
          if (isStream) tellEnd(undefined)
          sent.unsubscribe()
        }
      })
    }
  }

/** RFC 9745: `@` and a Unix time. The answer of a batch names the procedures that it concerns. */
const deprecationTeller = ({ onDeprecated }: Hooks) => {
  const told = new Set<string>()
  return (procedure: string, response: unknown): void => {
    const { headers } = (response ?? {}) as Partial<Pick<FetchResponse, "headers">>
    const deprecation = headers?.get("deprecation")
    if (deprecation == null || told.has(procedure)) return
    const concerned = headers?.get("holdfast-deprecated")?.split(",")
    if (concerned !== undefined && !concerned.includes(procedure)) return
    told.add(procedure)
    const seconds = /^@(\d+)$/.exec(deprecation)?.[1]
    tell(onDeprecated, {
      procedure,
      since: seconds === undefined ? undefined : new Date(Number(seconds) * 1000)
    })
  }
}

/** Tells once how the request ended. */
const responseTeller = (hooks: Hooks, call: Call, request: RequestEvent) => {
  const sentAt = Date.now()
  let isTold = false
  return (error: ResponseEvent["error"]): void => {
    if (isTold) return
    isTold = true
    if (hooks.onResponse === undefined && call.onResponse === undefined) return
    const response = { ...request, requestId: call.requestId, durationMs: Date.now() - sentAt, error }
    tell(hooks.onResponse, response)
    tell(call.onResponse, response)
  }
}

/** Calls a hook. One that throws or rejects does not fail the call, which may have taken effect. */
const tell = <Event>(hook: ((event: Event) => unknown) | undefined, event: Event): void => {
  if (hook === undefined) return
  try {
    const told = hook(event)
    if (told instanceof Promise) told.catch(() => undefined)
  } catch {}
}
