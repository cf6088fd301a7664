import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { entered, type HoldfastLink } from "./call.ts"

/**
 * Sends the header `traceparent` (W3C Trace Context, version 00), so that the server's spans, and those behind its webhooks,
 * join the caller's trace. It stands anywhere; with {@link createClient}, it is one of `links`. A query of a trace is sent
 * alone, because a shared request has one header.
 *
 * @param traceparent gives the header of the span in which a call begins, and `undefined` when there is none. It is called
 *   once for each call, before that returns. Default: the span of the Effect that makes the call.
 */
export const tracingLink =
  (traceparent: () => string | undefined = ofEffect): HoldfastLink =>
  () =>
  (options) => {
    const { call, op } = entered(options.op)
    const header = traceparent()
    if (header !== undefined) call.headers = { traceparent: header, ...call.headers }
    return options.next(op)
  }

/** A span that nobody records has an id of another form. */
const TRACE_ID = /^[0-9a-f]{32}$/

const ofEffect = (): string | undefined => {
  const fiber = Fiber.getCurrent()
  const span = fiber && Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
  if (span === undefined || !TRACE_ID.test(span.traceId)) return undefined
  return `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
}
