import { Context, Effect, Layer, Option, References, Tracer } from "effect"
import { FetchHttpClient } from "effect/http"
import { OtlpSerialization, OtlpTracer } from "effect/observability"

const EXPORT_EVERY = "1 second"

/** Sends spans to an OTLP receiver. Without one no span is made: each call would make several, for nobody. */
export const tracesLayer = (url: string | undefined): Layer.Layer<never> =>
  url === undefined
    ? Layer.succeed(References.TracerEnabled, false)
    : OtlpTracer.layer({
        url: `${url.replace(/\/$/, "")}/v1/traces`,
        resource: { serviceName: "holdfast" },
        exportInterval: EXPORT_EVERY
      }).pipe(Layer.provide(Layer.merge(OtlpSerialization.layerJson, FetchHttpClient.layer)))

/** Version, trace, span and flags: https://www.w3.org/TR/trace-context/#traceparent-header. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

/** The span of a caller, from the header `traceparent`. A header that is none of that counts as missing. */
export const callersSpan = (header: string | undefined): Tracer.ExternalSpan | undefined => {
  if (header === undefined) return undefined
  const [, traceId, spanId, flags] = TRACEPARENT.exec(header) ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags ?? "0", 16) & 1) === 1 })
}

/** A span that nobody records has an id of another form. */
const TRACE_ID = /^[0-9a-f]{32}$/

/** The span, or the nearest one above it that somebody records: where no spans are made, the caller's. */
export const recordedSpan = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined => {
  let each = span
  while (each !== undefined && !TRACE_ID.test(each.traceId))
    each = each._tag === "Span" ? Option.getOrUndefined(each.parent) : undefined
  return each
}

/** The header that names a span, or the nearest one above it that somebody records; `undefined` without any. */
export const traceparentOf = (span: Tracer.AnySpan | undefined): string | undefined => {
  const recorded = recordedSpan(span)
  return recorded && `00-${recorded.traceId}-${recorded.spanId}-${recorded.sampled ? "01" : "00"}`
}

/**
 * The spans of the calls that share a transaction, by what was decided about each. Without them, everything in the
 * transaction belongs to the span that it runs in.
 */
export const SpansOfDecisions = Context.Reference<ReadonlyMap<object, Tracer.AnySpan>>(
  "@holdfast/server/SpansOfDecisions",
  { defaultValue: () => new Map() }
)

/** The span that an effect runs in. */
export const currentSpan: Effect.Effect<Tracer.AnySpan | undefined> = Effect.map(
  Effect.context(),
  (context) => Context.getOrUndefined(context, Tracer.ParentSpan)
)

/** Runs an effect below a span, if there is one. */
export const below =
  (span: Tracer.AnySpan | undefined) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, span)

/** Makes a span of an effect, where spans are made at all. */
export const traced =
  (name: string, attributes: Readonly<Record<string, unknown>> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) =>
      fiber.getRef(References.TracerEnabled)
        ? (Effect.withSpan(effect, name, { attributes, captureStackTrace: false }) as Effect.Effect<A, E, R>)
        : effect
    )
