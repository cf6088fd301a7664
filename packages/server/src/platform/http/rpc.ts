import {
  API_VERSION,
  type Contract,
  InvalidInput,
  pathsOf,
  type Procedure,
  REQUEST_BOUNDS
} from "@holdfast/domain"
import type { AnyTRPCRouter } from "@trpc/server"
import { resolveResponse } from "@trpc/server/http"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import type { DirectCall, WireAnswer } from "../trpc/direct.ts"
import { Declared } from "../trpc/errors.ts"
import type { RpcContext } from "../trpc/trpc.ts"
import { rateHeaders } from "../rates/call-limits.ts"
import type { ContextSource } from "./context.ts"
import { isTooDeep, MAXIMUM_DEPTH } from "./nesting.ts"
import { refuse, refuseAs, retryAfterSeconds } from "./refusal.ts"

interface RpcOptions {
  readonly contract: Contract
  readonly router: AnyTRPCRouter
  /** How single calls are answered, by the paths of their procedures. */
  readonly directCalls: ReadonlyMap<string, DirectCall>
  readonly createContext: (source: ContextSource) => RpcContext
}

/**
 * The procedures under `/trpc`: one route for each, with the limit of its body, and one for batches. What a request may
 * hold is checked here, before anything parses it.
 */
export const addProcedures = async (app: FastifyInstance, options: RpcOptions): Promise<void> => {
  const { createContext, directCalls } = options
  const procedures = new Map([...pathsOf(options.contract)].map(([procedure, path]) => [path, procedure]))
  const answer = makeAdapter(options)
  await app.register(async (rpc) => {
    rpc.removeAllContentTypeParsers()
    rpc.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) =>
      isTooDeep(body as string) ? done(tooDeep()) : done(null, body)
    )
    rpc.addHook("onRequest", (request, reply, done) => {
      // Answers hold tokens and what is one user's own. A stream says more of its own.
      reply.header("cache-control", "no-store")
      const encoding = request.headers["content-encoding"]
      if (encoding === undefined || encoding.toLowerCase() === "identity") return done()
      refuseAs(request, reply, "UNSUPPORTED_MEDIA_TYPE", "the body must not be compressed")
    })
    addVersions(rpc, procedures)
    rpc.addHook("preValidation", (request, reply, done) => {
      const isDeep = Object.values(request.query as object)
        .flat()
        .some((value) => typeof value === "string" && isTooDeep(value))
      if (isDeep) refuse(request, reply, tooDeep())
      else done()
    })
    for (const [path, { maximumBytes = REQUEST_BOUNDS.bytes }] of procedures)
      rpc.route({
        method: ["GET", "POST"],
        url: `/trpc/${path}`,
        bodyLimit: maximumBytes,
        handler: (request, reply) => {
          const call = directCalls.get(path)
          const input = call === undefined ? NOT_DIRECT : directInputOf(request, call)
          return call === undefined || input === NOT_DIRECT
            ? answer(request, reply, path)
            : answerDirectly(call, input, createContext({ request }), reply)
        }
      })
    rpc.route({
      method: ["GET", "POST"],
      url: "/trpc/:path",
      bodyLimit: REQUEST_BOUNDS.bytes,
      handler: (request, reply) => {
        const { path } = request.params as { readonly path: string }
        const fault = faultOfBatch(path, procedures)
        if (fault === undefined) return answer(request, reply, path)
        return refuse(request, reply, fault)
      }
    })
    rpc.route({
      method: ["DELETE", "PATCH", "PUT"],
      url: "/trpc/:path",
      bodyLimit: REQUEST_BOUNDS.bytes,
      onRequest: (request, reply) => {
        reply.header("allow", "GET, POST")
        refuseAs(request, reply, "METHOD_NOT_SUPPORTED", "queries are GET requests, everything else is POST")
      },
      handler: () => {}
    })
  })
}

/** Every answer names the version of the contract, and those of its calls that are deprecated (RFC 9745). */
const addVersions = (rpc: FastifyInstance, procedures: ReadonlyMap<string, Procedure>): void => {
  rpc.addHook("onRequest", (request, reply, done) => {
    const { header, number } = API_VERSION
    reply.header(header, number)
    const asked = request.headers[header]
    if (asked !== undefined && asked !== number)
      return refuse(
        request,
        reply,
        new InvalidInput({
          issues: [{ path: header, message: `must be ${number}, the version of this server` }]
        })
      )
    const path = /^\/trpc\/([^?]*)/.exec(request.url)?.[1] ?? ""
    const deprecated = path.split(",").filter((call) => procedures.get(call)?.deprecated !== undefined)
    if (deprecated.length > 0) {
      const since = Math.min(...deprecated.map((call) => procedures.get(call)!.deprecated!.since.getTime()))
      reply
        .header("deprecation", `@${Math.floor(since / 1000)}`)
        .header("holdfast-deprecated", deprecated.join())
    }
    done()
  })
}

const tooDeep = () =>
  new InvalidInput({ issues: [{ path: "", message: `must be nested at most ${MAXIMUM_DEPTH} deep` }] })

/** Every call of a batch costs as much as a request of its own, and some cost too much to come in numbers. */
const faultOfBatch = (path: string, procedures: ReadonlyMap<string, Procedure>): InvalidInput | undefined => {
  const issue = (message: string) => new InvalidInput({ issues: [{ path: "batch", message }] })
  // tRPC decodes the path once more; no procedure has a name for which that matters.
  if (path.includes("%")) return issue("must name procedures")
  const calls = path.split(",")
  if (calls.length === 1) return undefined
  if (calls.length > REQUEST_BOUNDS.calls) return issue(`must be at most ${REQUEST_BOUNDS.calls} calls`)
  const alone = calls.find((call) => procedures.get(call)?.batchable === false)
  return alone === undefined ? undefined : issue(`must not hold ${alone}, which travels alone`)
}

const NOT_DIRECT = Symbol("not a single JSON call")

/**
 * The input of a plain single call, as JSON has it. Everything else is tRPC's: batches, streams, connection parameters,
 * and what is malformed.
 */
const directInputOf = ({ body, headers, method, query }: FastifyRequest, call: DirectCall): unknown => {
  if (method !== call.method || headers["trpc-accept"] !== undefined) return NOT_DIRECT
  for (const name in query as object) if (name !== "input") return NOT_DIRECT
  const text = method === "GET" ? (query as { readonly input?: unknown }).input : body
  if (text === undefined && method === "GET") return undefined
  try {
    return typeof text === "string" ? JSON.parse(text) : NOT_DIRECT
  } catch {
    return NOT_DIRECT
  }
}

const answerDirectly = (call: DirectCall, input: unknown, ctx: RpcContext, reply: FastifyReply): void => {
  const interrupt = call.answer(input, ctx, (exit) => {
    try {
      sendAnswer(call.respond(exit, ctx), ctx, reply)
    } catch (error) {
      reply.send(error)
    }
  })
  // Also after an answer, when there is nothing left to interrupt.
  reply.raw.once("close", interrupt)
}

const sendAnswer = (
  { body, retryAfterMs, status }: WireAnswer,
  ctx: RpcContext,
  reply: FastifyReply
): void => {
  if (retryAfterMs !== undefined) reply.header("retry-after", retryAfterSeconds(retryAfterMs))
  const others = reply.getHeader("vary") as string | undefined
  reply
    .headers(rateHeaders(ctx.standing))
    .header("content-type", "application/json")
    .header("vary", others === undefined ? VARY : `${VARY}, ${others}`)
    .code(status)
    .send(body)
}

/** tRPC's adapter says so of all its answers. */
const VARY = "trpc-accept, accept"

/** Hands a request to tRPC. Its host is not looked at: a caller may write anything there. */
const makeAdapter = ({ contract, createContext, router }: RpcOptions) => {
  const subscriptions = new Set(
    [...pathsOf(contract)].flatMap(([{ kind }, path]) => (kind === "subscription" ? [path] : []))
  )
  return async (req: FastifyRequest, reply: FastifyReply, path: string): Promise<FastifyReply> => {
    const left = new AbortController()
    reply.raw.once("close", () => {
      if (!reply.raw.writableEnded) left.abort()
    })
    const response = await resolveResponse({
      router,
      path,
      req: asFetchRequest(req, left.signal),
      error: null,
      // Addresses are logged and shared. Only an event source, which cannot set headers, may have its token there.
      createContext: async ({ info: { connectionParams } }) =>
        createContext(subscriptions.has(path) ? { request: req, connectionParams } : { request: req }),
      responseMeta: ({ ctx, errors }) => {
        const waitsMs = errors.flatMap(({ cause }) =>
          cause instanceof Declared ? (cause.error.retryAfterMs ?? []) : []
        )
        const headers = new Headers(rateHeaders(ctx?.standing ?? {}))
        if (waitsMs.length > 0) headers.set("retry-after", retryAfterSeconds(Math.max(...waitsMs)))
        return { headers }
      }
    })
    const vary = reply.getHeader("vary")
    if (typeof vary === "string") response.headers.append("vary", vary)
    return reply.send(response)
  }
}

const asFetchRequest = (request: FastifyRequest, signal: AbortSignal): Request => {
  const at = request.url.indexOf("?")
  const url = `http://localhost/${at === -1 ? "" : request.url.slice(at)}`
  const headers = Object.entries(request.headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((text): [string, string] => [name, text])
  )
  const { body, method } = request
  return new Request(url, { method, headers, signal, ...(typeof body === "string" ? { body } : {}) })
}
