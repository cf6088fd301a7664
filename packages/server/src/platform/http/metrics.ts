import type { ServiceUnavailable } from "@holdfast/domain"
import { Effect, type ManagedRuntime, Redacted } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { FastifyInstance } from "fastify"
import { createHash, timingSafeEqual } from "node:crypto"
import { createServer, type Server } from "node:http"
import { callMetrics } from "../telemetry/calls.ts"
import type { MetricsSettings } from "../telemetry/telemetry-settings.ts"

const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
const PATH = "/metrics"

/** A store that does not answer leaves the others' measurements to be told. */
const MEASURED_WITHIN_MS = 1_000

/** Measures what is not counted as it happens, and writes all metrics of the process as Prometheus reads them. */
export const makeRender = <R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  measurements: ReadonlyArray<Effect.Effect<unknown, ServiceUnavailable, R>>
): (() => Promise<string>) => {
  const measure = Effect.forEach(
    measurements,
    (measurement) => Effect.ignore(Effect.timeout(measurement, MEASURED_WITHIN_MS)),
    { concurrency: "unbounded", discard: true }
  )
  const render = Effect.andThen(measure, PrometheusMetrics.format())
  let rendering: Promise<string> | undefined
  // However many ask, the stores are asked by one scrape at a time.
  return () =>
    (rendering ??= runtime
      .runPromise(render)
      .then((text) => text + callMetrics())
      .finally(() => (rendering = undefined)))
}

/** `/metrics` beside the procedures, for those who have the token. Without one it is not there. */
export const addMetrics = (
  app: FastifyInstance,
  { token }: MetricsSettings,
  render: () => Promise<string>
): void => {
  if (token === undefined) return
  const expected = hashOf(`Bearer ${Redacted.value(token)}`)
  app.get(PATH, async ({ headers }, reply) => {
    if (!timingSafeEqual(hashOf(headers.authorization ?? ""), expected))
      return reply.code(401).header("www-authenticate", "Bearer").send()
    return reply.type(CONTENT_TYPE).send(await render())
  })
}

const hashOf = (text: string) => createHash("sha256").update(text).digest()

/** `/metrics` on a port of its own, which no balancer leads to. */
export const serveMetrics = async (
  port: number,
  host: string,
  render: () => Promise<string>
): Promise<Server> => {
  const server = createServer((request, response) => {
    if (request.url?.split("?", 1)[0] !== PATH) return void response.writeHead(404).end()
    void render().then(
      (text) => response.writeHead(200, { "content-type": CONTENT_TYPE }).end(text),
      () => response.writeHead(500).end()
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, resolve)
  })
  return server
}
