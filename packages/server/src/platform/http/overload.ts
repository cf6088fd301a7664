import { ServiceUnavailable } from "@holdfast/domain"
import type { FastifyInstance, FastifyRequest } from "fastify"
import type { HttpSettings } from "../config.ts"
import { refuse } from "./refusal.ts"

declare module "fastify" {
  interface FastifyContextConfig {
    /** Answered however busy the process is. */
    readonly alwaysAnswered?: boolean
  }
  interface FastifyRequest {
    /** The calls that the process counts as in flight for this request. */
    callsInFlight: number
    isShed: boolean
  }
}

/** How often the delay of the event loop is measured. */
const SAMPLE_MS = 10

/** This many calls are always admitted: they are too few to explain a delay. */
const LEAST_IN_FLIGHT = 8

/** The `retryAfterMs` of a request that is shed. */
const RETRY_AFTER_MS = 1_000

/** Bodies below this size are not counted: all connections together cannot hold many bytes of them. */
const SMALL_BODY_BYTES = 16 * 1024

/** The bytes that larger bodies may claim together while they are received. */
const RECEIVING_BYTES = 64 * 1024 * 1024

/**
 * Sheds what the process cannot serve in time, before its body is read: a request that would wait is answered with
 * `ServiceUnavailable` at once. The bound on the calls in flight adapts to the delay of the event loop, because calls that
 * wait for a lock or a store cost nothing, while others keep the processor busy.
 *
 * @param onShed gets the number of requests that were shed in the last second
 */
export const addLoadShedding = (
  app: FastifyInstance,
  settings: HttpSettings,
  onShed: (requests: number) => void
): void => {
  const load = measureLoad(settings)
  let receivingBytes = 0
  let shed = 0
  const report = setInterval(() => {
    if (shed > 0) onShed(shed)
    shed = 0
  }, 1_000).unref()
  app.addHook("onClose", async () => {
    clearInterval(report)
    load.stop()
  })
  app.decorateRequest("callsInFlight", 0)
  app.decorateRequest("isShed", false)

  app.addHook("onRequest", (request, reply, done) => {
    if (request.routeOptions.config.alwaysAnswered === true) return done()
    const claimedBytes = bodyBytesOf(request)
    if (load.isExceeded() || receivingBytes + claimedBytes > RECEIVING_BYTES) {
      shed += 1
      request.isShed = true
      return refuse(request, reply, new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
    }
    if (claimedBytes > 0) {
      receivingBytes += claimedBytes
      request.raw.once("close", () => (receivingBytes -= claimedBytes))
    }
    done()
  })
  // A call is in flight from its last byte until its answer is made: slow senders and slow readers do not count.
  app.addHook("preHandler", (request, _reply, done) => {
    if (request.routeOptions.config.alwaysAnswered === true) return done()
    request.callsInFlight = callsOf(request)
    load.begin(request.callsInFlight)
    done()
  })
  const end = (request: FastifyRequest) => {
    load.end(request.callsInFlight)
    request.callsInFlight = 0
  }
  app.addHook("onSend", (request, _reply, payload, done) => {
    end(request)
    done(null, payload)
  })
  app.addHook("onResponse", (request, _reply, done) => {
    end(request)
    done()
  })
}

/** The calls in flight, and the bound on them: it falls by a fifth while the event loop is late, and rises slowly. */
export const measureLoad = ({ maximumDelayMs, maximumInFlight }: HttpSettings) => {
  let inFlight = 0
  let bound = maximumInFlight
  let sampledAtMs = performance.now()
  const delayMs = () => performance.now() - sampledAtMs - SAMPLE_MS
  const timer = setInterval(() => {
    const isLate = delayMs() > maximumDelayMs
    sampledAtMs = performance.now()
    bound = isLate
      ? Math.max(LEAST_IN_FLIGHT, Math.floor(Math.min(bound, inFlight) * 0.8))
      : Math.min(maximumInFlight, bound + Math.max(1, bound / 32))
  }, SAMPLE_MS).unref()
  return {
    begin: (calls: number) => void (inFlight += calls),
    end: (calls: number) => void (inFlight -= calls),
    /** Whether another request would have to wait. Between two samples a turn that is late already counts. */
    isExceeded: () => inFlight >= bound || (inFlight >= LEAST_IN_FLIGHT && delayMs() > maximumDelayMs),
    stop: () => clearInterval(timer)
  }
}

/** A batch counts as the calls in it. */
const callsOf = ({ url }: FastifyRequest): number => {
  const end = url.indexOf("?")
  const path = end === -1 ? url : url.slice(0, end)
  return path.includes(",") ? path.split(",").length : 1
}

/** The bytes that the body of a request may take, unless they are few. */
const bodyBytesOf = ({ headers, method, routeOptions }: FastifyRequest): number => {
  if (method === "GET" || method === "HEAD") return 0
  const limit = routeOptions.bodyLimit
  if (headers["transfer-encoding"] !== undefined) return limit
  const length = Number(headers["content-length"] ?? 0)
  return length > SMALL_BODY_BYTES ? Math.min(length, limit) : 0
}
