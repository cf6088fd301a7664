import { Role, Unauthenticated, UserId } from "@holdfast/domain"
import { Context, Effect, Layer, Redacted, Result, Schema } from "effect"
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose"
import { LRUCache } from "lru-cache"
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto"
import { ServerConfig } from "../../config.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import type { Caller } from "../../platform/trpc/handler.ts"

type Purpose = "access" | "refresh"

export interface SignedToken {
  readonly token: string
  readonly expiresAt: Date
}

/** Verified tokens are cached: a lookup is cheaper than a signature. */
const REMEMBERED_TOKENS = 10_000

const ISSUER = "holdfast"

/** How long a token is still accepted after it expired: the processes measure the database's clock at different times. */
const LEEWAY_MS = 1_000

/** The tokens that a server makes have about 300 characters. With the number of entries this bounds the cache's bytes. */
const MAXIMUM_LENGTH = 1_024

/**
 * Makes and checks the tokens of a login: JWTs signed with HMAC-SHA-256 (RFC 7519). They expire by the database's clock,
 * so it does not matter which process made one and which checks it.
 */
export class Tokens extends Context.Service<
  Tokens,
  {
    readonly sign: (purpose: Purpose, caller: Caller) => Effect.Effect<SignedToken>
    /** Returns the caller that the token names. Access and refresh tokens are not interchangeable. */
    readonly verify: (purpose: Purpose, token: string) => Effect.Effect<Caller, Unauthenticated>
  }
>()("@holdfast/server/Tokens") {
  static readonly layer: Layer.Layer<Tokens, never, ServerConfig | DatabaseClock> = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const settings = yield* ServerConfig
      const key = createSecretKey(Buffer.from(Redacted.value(settings.secret)))
      const { nowMs } = yield* DatabaseClock
      const lifetimeMs = { access: settings.accessTokenMs, refresh: settings.refreshTokenMs }
      const remembered = new LRUCache<string, VerifiedToken>({ max: REMEMBERED_TOKENS })
      const remember = (token: string) => {
        const known = remembered.peek(token)
        if (known !== undefined) return Result.succeed(known)
        const checked = check(key, "access", token)
        if (Result.isSuccess(checked)) remembered.set(token, checked.success)
        return checked
      }
      return {
        sign: (purpose, caller) =>
          Effect.flatMap(nowMs, (now) => sign(key, purpose, caller, now, lifetimeMs[purpose])),
        verify: Effect.fnUntraced(function* (purpose, token) {
          if (token.length > MAXIMUM_LENGTH) return yield* new Unauthenticated({ reason: "malformed" })
          const { caller, expiresAtMs } = yield* Effect.fromResult(
            purpose === "access" ? remember(token) : check(key, purpose, token)
          )
          if ((yield* nowMs) >= expiresAtMs + LEEWAY_MS)
            return yield* new Unauthenticated({ reason: "expired" })
          return caller
        })
      }
    })
  )
}

const sign = Effect.fnUntraced(function* (
  key: KeyObject,
  purpose: Purpose,
  caller: Caller,
  now: number,
  lifetimeMs: number
) {
  const expiresAt = new Date(now + lifetimeMs)
  const token = yield* Effect.promise(() =>
    new SignJWT({ role: caller.role })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setSubject(caller.userId)
      .setIssuer(ISSUER)
      .setAudience(purpose)
      .setIssuedAt(new Date(now))
      .setExpirationTime(expiresAt)
      .sign(key)
  )
  return { token, expiresAt }
})

interface VerifiedToken {
  readonly caller: Caller
  readonly expiresAtMs: number
}

/**
 * Checks the signature and the claims, but not the expiry, which the caller compares with the database's clock. One token
 * takes microseconds on this thread, which the thread pool of WebCrypto takes longer to begin with.
 */
const check = (
  key: KeyObject,
  purpose: Purpose,
  token: string
): Result.Result<VerifiedToken, Unauthenticated> => {
  const parsed = parse(token)
  if (parsed === undefined) return Result.fail(new Unauthenticated({ reason: "malformed" }))
  const { claims, header } = parsed
  const decoded = decodeClaims(claims)
  const isValid =
    header["alg"] === "HS256" &&
    header["crit"] === undefined &&
    isSigned(key, token) &&
    Result.isSuccess(decoded) &&
    decoded.success.aud === purpose
  if (!isValid) return Result.fail(new Unauthenticated({ reason: "invalid" }))
  const { exp, role, sub } = decoded.success
  return Result.succeed({ caller: { userId: sub, role }, expiresAtMs: exp * 1_000 })
}

const parse = (token: string) => {
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  } catch {
    return undefined
  }
}

/**
 * Compares in constant time, so that the answer's delay says nothing about the right signature. The texts are compared,
 * because several texts mean the same bytes.
 */
const isSigned = (key: KeyObject, token: string): boolean => {
  const end = token.lastIndexOf(".")
  const signature = Buffer.from(token.slice(end + 1))
  const expected = Buffer.from(createHmac("sha256", key).update(token.slice(0, end)).digest("base64url"))
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}

const decodeClaims = Schema.decodeUnknownResult(
  Schema.Struct({
    iss: Schema.Literal(ISSUER),
    aud: Schema.String,
    sub: UserId,
    role: Role,
    exp: Schema.Int
  })
)
