import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { contract, type DomainError, type Procedure, Unauthenticated } from "@holdfast/domain"
import { initTRPC, TRPCError } from "@trpc/server"
import { createHTTPHandler } from "@trpc/server/adapters/standalone"
import { Schema } from "effect"

/** One received call. */
interface ReceivedCall {
  readonly procedure: string
  readonly input: unknown
  readonly token: string | undefined
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly signal: AbortSignal | undefined
}

/** Returns the encoded output of a call, or throws a domain error, or anything else as a defect. */
type Answer = (call: ReceivedCall) => unknown

/** Receives a request before tRPC does. Returning true means that it has handled the request. */
type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean | void

/** A running server with what it has received. */
export interface WireServer extends AsyncDisposable {
  readonly url: string
  /** Every call, in order of arrival. */
  readonly calls: ReadonlyArray<ReceivedCall>
  /** Every HTTP request. A batch is one request. */
  readonly requests: ReadonlyArray<string>
  /** The highest number of connections that were open at the same time. */
  readonly mostConnections: () => number
  answer: (procedure: string, answer: Answer) => void
  intercept: (intercept: Intercept | undefined) => void
}

interface Context {
  readonly request: IncomingMessage
}

class Declared extends Error {
  readonly error: DomainError
  constructor(error: DomainError) {
    super(error._tag)
    this.error = error
  }
}

/**
 * Starts a real HTTP server that speaks Holdfast's wire format for every procedure of the contract. A test chooses its
 * answers and faults, so that broken connections are tested with real sockets.
 */
export const startWireServer = async (answers: Record<string, Answer> = {}): Promise<WireServer> => {
  const known = new Map(Object.entries(answers))
  const calls: Array<ReceivedCall> = []
  const requests: Array<string> = []
  let intercept: Intercept | undefined

  const handler = createHTTPHandler({
    router: routerOf((call) => {
      calls.push(call)
      const answer = known.get(call.procedure)
      if (answer === undefined) throw new Error(`no answer defined for ${call.procedure}`)
      return answer(call)
    }),
    basePath: "/trpc/",
    createContext: ({ req }): Context => ({ request: req })
  })
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const requestId = request.headers["x-request-id"]
    if (typeof requestId === "string") response.setHeader("x-request-id", requestId)
    if (intercept?.(request, response) !== true) handler(request, response)
  })

  let open = 0
  let most = 0
  server.on("connection", (socket) => {
    open += 1
    most = Math.max(most, open)
    socket.on("close", () => (open -= 1))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    requests,
    mostConnections: () => most,
    answer: (procedure, answer) => void known.set(procedure, answer),
    intercept: (next) => void (intercept = next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  }
}

const routerOf = (receive: (call: ReceivedCall) => unknown) => {
  const t = initTRPC.context<Context>().create({
    isDev: false,
    errorFormatter: ({ ctx, error, shape }) => ({
      ...shape,
      data: { ...shape.data, requestId: requestIdOf(ctx) },
      message: error.message
    })
  })
  const one = (name: string, procedure: Procedure) => {
    const resolve = async ({
      ctx,
      input,
      signal
    }: {
      ctx: Context
      input: unknown
      signal: AbortSignal | undefined
    }) => {
      const call = receivedCall(name, input, ctx, signal)
      try {
        if (procedure.access !== "public" && call.token === undefined)
          throw new Unauthenticated({ reason: "missing" })
        return await receive(call)
      } catch (error) {
        throw declared(procedure, error)
      }
    }
    const builder = t.procedure
      .errors(({ ctx, error, shape }) => {
        if (!(error.cause instanceof Declared)) return undefined
        return { ...shape, data: { ...shape.data, ...wireData(procedure, error.cause.error, ctx) } }
      })
      .input((raw: unknown) => raw)
    if (procedure.kind === "subscription")
      return builder.subscription(async function* (options) {
        try {
          yield* (await resolve(options)) as AsyncIterable<unknown>
        } catch (error) {
          throw declared(procedure, error)
        }
      })
    return procedure.kind === "query" ? builder.query(resolve) : builder.mutation(resolve)
  }
  const groups = Object.entries(contract).map(([group, procedures]) => [
    group,
    t.router(
      Object.fromEntries(
        Object.entries(procedures).map(([name, procedure]) => [name, one(`${group}.${name}`, procedure)])
      )
    )
  ])
  return t.router(Object.fromEntries(groups) as Record<string, ReturnType<typeof t.router>>)
}

/** Wraps a declared error for tRPC and leaves any other error unchanged. */
const declared = (procedure: Procedure, error: unknown): unknown => {
  const errorClass = procedure.errors.find((candidate) => error instanceof candidate)
  if (errorClass === undefined) return error
  const { message } = error as DomainError
  return new TRPCError({ code: errorClass.code, message, cause: new Declared(error as DomainError) })
}

const wireData = (procedure: Procedure, error: DomainError, ctx: Context | undefined) => {
  const errorClass = procedure.errors.find((candidate) => error instanceof candidate)
  return {
    requestId: requestIdOf(ctx),
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    domain: errorClass === undefined ? undefined : Schema.encodeUnknownSync(errorClass)(error)
  }
}

const receivedCall = (
  procedure: string,
  input: unknown,
  { request }: Context,
  signal: AbortSignal | undefined
): ReceivedCall => ({
  procedure,
  input,
  token: header(request, "authorization")?.replace(/^Bearer /, ""),
  idempotencyKey: header(request, "idempotency-key"),
  requestId: header(request, "x-request-id"),
  signal
})

const requestIdOf = (ctx: Context | undefined) =>
  ctx === undefined ? undefined : header(ctx.request, "x-request-id")

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === "string" ? value : undefined
}
