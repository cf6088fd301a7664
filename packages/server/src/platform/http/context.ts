import { InvalidInput, type ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import type { FastifyRequest } from "fastify"
import { Effect, Result } from "effect"
import { isIPv6 } from "node:net"
import type { Caller } from "../trpc/handler.ts"
import type { RpcContext } from "../trpc/trpc.ts"

/** Verifies access tokens. Fails with `Unauthenticated` when one is not valid. */
export interface Authenticate {
  /** Who a token names, by its signature and its expiry alone. */
  readonly named: (token: string) => Result.Result<Caller, Unauthenticated>
  /** Whether the session of whom a token names is open, as of now or as of a few seconds ago. */
  readonly confirmed: (
    caller: Caller,
    asOf: "recently" | "now"
  ) => Effect.Effect<Caller, Unauthenticated | ServiceUnavailable>
}

const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i

/** Printable ASCII: fits the column of the keys and is safe in a log line. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/

/** What is read of a request. */
export interface ContextSource {
  readonly request: FastifyRequest
  /** The connection parameters of a subscription: no other request may have any. */
  readonly connectionParams?: Readonly<Record<string, string | undefined>> | null
}

/**
 * Makes the context of a request's calls from its headers. A bad token is an error only for procedures that need one. A
 * browser's event source cannot set headers, so a subscription may send `authorization` as a connection parameter.
 */
export const makeContext =
  (authenticate: Authenticate, closing: AbortSignal) =>
  (source: ContextSource): RpcContext =>
    new RequestContext(source, authenticate, closing)

/** Every request has one, so it works out what a call asks for and no more. */
class RequestContext implements RpcContext {
  readonly requestId: string
  readonly address: string
  readonly standing = {}
  readonly closing: AbortSignal
  readonly #headers: FastifyRequest["headers"]
  readonly #authenticate: Authenticate
  readonly #token: Result.Result<string, Unauthenticated>

  constructor(
    { connectionParams, request }: ContextSource,
    authenticate: Authenticate,
    closing: AbortSignal
  ) {
    this.requestId = request.id
    this.address = networkOf(request.ip)
    this.closing = closing
    this.#headers = request.headers
    this.#authenticate = authenticate
    this.#token = tokenOf(request.headers.authorization ?? connectionParams?.["authorization"])
  }

  get traceparent() {
    const header = this.#headers["traceparent"]
    return typeof header === "string" ? header : undefined
  }

  get userAgent() {
    return this.#headers["user-agent"] ?? ""
  }

  get idempotencyKey() {
    return idempotencyKeyOf(this.#headers["idempotency-key"])
  }

  get named() {
    const token = this.#token
    return Result.isSuccess(token) ? this.#authenticate.named(token.success) : Result.fail(token.failure)
  }

  get caller() {
    return this.#confirmed("recently")
  }

  get confirmedCaller() {
    return this.#confirmed("now")
  }

  #confirmed(asOf: "recently" | "now"): Effect.Effect<Caller, Unauthenticated | ServiceUnavailable> {
    const { named } = this
    return Result.isSuccess(named)
      ? this.#authenticate.confirmed(named.success, asOf)
      : Effect.fail(named.failure)
  }
}

/** Who has one IPv6 address has a network of 2^64 of them, so the network is the caller. */
export const networkOf = (address: string): string => {
  if (!isIPv6(address)) return address
  if (address.startsWith("::ffff:") && address.includes(".")) return address.slice("::ffff:".length)
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::")
  const groups = head === "" ? [] : head.split(":")
  const rest = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => "0")
  return [...groups, ...zeros, ...rest].slice(0, 4).join(":")
}

/** Made once: most readers have no token. */
const NO_TOKEN: Result.Result<string, Unauthenticated> = Result.fail(
  new Unauthenticated({ reason: "missing" })
)

const tokenOf = (header: string | undefined): Result.Result<string, Unauthenticated> => {
  if (header === undefined) return NO_TOKEN
  const token = BEARER.exec(header)?.[1]
  return token === undefined
    ? Result.fail(new Unauthenticated({ reason: "malformed" }))
    : Result.succeed(token)
}

const idempotencyKeyOf = (
  header: string | ReadonlyArray<string> | undefined
): Result.Result<string | undefined, InvalidInput> => {
  if (header === undefined) return Result.succeed(undefined)
  if (typeof header === "string" && IDEMPOTENCY_KEY.test(header)) return Result.succeed(header)
  const message = "must be 1 to 255 printable ASCII characters without blanks"
  return Result.fail(new InvalidInput({ issues: [{ path: "idempotency-key", message }] }))
}
