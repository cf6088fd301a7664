import { InvalidInput, type ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import type { FastifyRequest } from "fastify"
import { Effect, Result } from "effect"
import { isIPv6 } from "node:net"
import type { Caller } from "../trpc/handler.ts"
import type { RpcContext } from "../trpc/trpc.ts"

/** Verifies access tokens. Fails with `Unauthenticated` when one is not valid. */
export interface Authenticate {
  /** By its signature and its expiry alone. */
  readonly named: (token: string) => Effect.Effect<Caller, Unauthenticated>
  /** Whether its session is open, too, as of now or as of a few seconds ago. */
  readonly caller: (
    token: string,
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
  ({ connectionParams, request }: ContextSource): RpcContext => {
    const authorization = request.headers.authorization ?? connectionParams?.["authorization"]
    return {
      requestId: request.id,
      traceparent: textOf(request.headers["traceparent"]),
      idempotencyKey: idempotencyKeyOf(request.headers["idempotency-key"]),
      named: callerOf(authorization, authenticate.named),
      caller: callerOf(authorization, (token) => authenticate.caller(token, "recently")),
      confirmedCaller: callerOf(authorization, (token) => authenticate.caller(token, "now")),
      address: networkOf(request.ip),
      standing: {},
      get userAgent() {
        return request.headers["user-agent"] ?? ""
      },
      closing
    }
  }

const textOf = (header: string | ReadonlyArray<string> | undefined) =>
  typeof header === "string" ? header : undefined

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

const callerOf = <E>(
  header: string | undefined,
  verify: (token: string) => Effect.Effect<Caller, E>
): Effect.Effect<Caller, E | Unauthenticated> =>
  Effect.suspend((): Effect.Effect<Caller, E | Unauthenticated> => {
    if (header === undefined) return Effect.fail(new Unauthenticated({ reason: "missing" }))
    const token = BEARER.exec(header)?.[1]
    return token === undefined ? Effect.fail(new Unauthenticated({ reason: "malformed" })) : verify(token)
  })

const idempotencyKeyOf = (
  header: string | ReadonlyArray<string> | undefined
): Result.Result<string | undefined, InvalidInput> => {
  if (header === undefined) return Result.succeed(undefined)
  if (typeof header === "string" && IDEMPOTENCY_KEY.test(header)) return Result.succeed(header)
  const message = "must be 1 to 255 printable ASCII characters without blanks"
  return Result.fail(new InvalidInput({ issues: [{ path: "idempotency-key", message }] }))
}
