import type { FastifyInstance, FastifyRequest } from "fastify"
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse
} from "node:http"
import type { Socket } from "node:net"
import type { HttpSettings } from "../config.ts"
import type { Load } from "./load.ts"
import { serviceUnavailable } from "./refusal.ts"

const HEALTH_PATHS = ["/livez", "/readyz"] as const

/** Connections beyond the bound that are told so, or ask for the process's health; further ones are closed unheard. */
const RESERVED_CONNECTIONS = 100

/** Requests of one connection that may wait for their answers. No client needs as many; a flood has more. */
const MAXIMUM_PIPELINED = 64

/** Bodies up to this size are not counted: all connections together cannot hold many bytes of them. */
const SMALL_BODY_BYTES = 16 * 1024

/** The most that a larger body is counted for: no procedure takes more. */
const LARGE_BODY_BYTES = 1024 * 1024

/** The bytes that larger bodies may claim together while they are received. */
const RECEIVING_BYTES = 64 * 1024 * 1024

/** How long a connection without a request is kept: longer than the proxies in front keep theirs. */
const KEEP_ALIVE_MS = 72_000

interface IntakeOptions {
  readonly settings: HttpSettings
  readonly load: Load
  /** Called for every request that is shed. */
  readonly onShed: () => void
  /** Whether callers have to go elsewhere, because the server is about to stop. */
  readonly isDraining: () => boolean
}

/**
 * The HTTP server in front of the application. It admits what the process can serve in time and answers the rest with
 * `ServiceUnavailable` at once, before anything of it is parsed: shedding has to cost a fraction of serving. Every wait
 * for a client has an end.
 */
export const makeIntake = (application: RequestListener, options: IntakeOptions): Server => {
  const { receiveMs, stillMs } = options.settings
  const admit = makeAdmission(options)
  const server = createServer(
    {
      requestTimeout: receiveMs,
      headersTimeout: receiveMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node looks for what is late this often.
      connectionsCheckingInterval: Math.min(1_000, receiveMs / 4)
    },
    (request, response) => {
      if (options.isDraining()) response.shouldKeepAlive = false
      if (admit(request, response)) application(request, response)
    }
  )
  server.setTimeout(stillMs)
  const { maximumConnections } = options.settings
  server.maxConnections = maximumConnections + RESERVED_CONNECTIONS
  let open = 0
  server.on("connection", (socket: Socket) => {
    states.set(socket, { unanswered: 0, isBeyond: ++open > maximumConnections })
    socket.once("close", () => (open -= 1))
  })
  return server
}

interface ConnectionState {
  unanswered: number
  readonly isBeyond: boolean
}

const states = new WeakMap<Socket, ConnectionState>()

const makeAdmission = ({ load, onShed, settings: { origins } }: IntakeOptions) => {
  let receivingBytes = 0
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const { socket } = request
    const state = states.get(socket)
    if (state === undefined || socket.destroyed) return false
    if (state.unanswered >= MAXIMUM_PIPELINED) {
      socket.destroy()
      return false
    }
    state.unanswered += 1
    response.once("close", () => (state.unanswered -= 1))
    if (isHealthCheck(request)) return true
    const claimedBytes = bodyBytesOf(request)
    if (state.isBeyond || load.isExceeded() || receivingBytes + claimedBytes > RECEIVING_BYTES) {
      onShed()
      serviceUnavailable(request, response, { origins, endsConnection: state.isBeyond })
      return false
    }
    if (claimedBytes > 0) {
      receivingBytes += claimedBytes
      request.once("close", () => (receivingBytes -= claimedBytes))
    }
    return true
  }
}

/** Whether a request is answered however busy the process is. */
const isHealthCheck = ({ url = "" }: IncomingMessage): boolean =>
  HEALTH_PATHS.some((path) => url === path || url.startsWith(`${path}?`))

/** The bytes that the body of a request may take, unless they are few. */
const bodyBytesOf = ({ headers, method }: IncomingMessage): number => {
  if (method === "GET") return 0
  if (headers["transfer-encoding"] !== undefined) return LARGE_BODY_BYTES
  const length = Number(headers["content-length"] ?? 0)
  return length > SMALL_BODY_BYTES ? Math.min(length, LARGE_BODY_BYTES) : 0
}

/**
 * Counts a call from its last byte until its answer is made: slow senders and slow readers cost no work. Bodies that were
 * slow and then come all at once find no more room than others.
 */
export const countCalls = (
  app: FastifyInstance,
  load: Load,
  { origins }: HttpSettings,
  onShed: () => void
): void => {
  const inFlight = new WeakMap<FastifyRequest, number>()
  const end = (request: FastifyRequest) => {
    load.end(inFlight.get(request) ?? 0)
    inFlight.delete(request)
  }
  app.addHook("preHandler", (request, reply, done) => {
    if (isHealthCheck(request.raw)) return done()
    if (load.isExceeded()) {
      onShed()
      reply.hijack()
      return serviceUnavailable(request.raw, reply.raw, { origins, endsConnection: false })
    }
    const calls = callsOf(request.url)
    inFlight.set(request, calls)
    load.begin(calls)
    done()
  })
  app.addHook("onSend", (request, _reply, payload, done) => {
    end(request)
    done(null, payload)
  })
  app.addHook("onResponse", (request, _reply, done) => {
    end(request)
    done()
  })
}

/** A batch counts as the calls in it. */
const callsOf = (url: string): number => 1 + (url.split("?", 1)[0]?.match(/,|%2c/gi)?.length ?? 0)
