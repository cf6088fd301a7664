import { Role, Unauthenticated, UserId } from "@holdfast/domain"
import { Cache, Clock, Context, Effect, Exit, Layer, Redacted, Result, Schema } from "effect"
import { errors, jwtVerify, SignJWT } from "jose"
import { ServerConfig } from "../../config.ts"
import type { Caller } from "../../platform/trpc/handler.ts"

type Purpose = "access" | "refresh"

export interface SignedToken {
  readonly token: string
  readonly expiresAt: Date
}

/** Verified tokens are cached until they expire: a lookup is cheaper than a signature. */
const REMEMBERED_TOKENS = 10_000

/** Makes and checks the tokens of a login: JWTs signed with HMAC-SHA-256 (RFC 7519). */
export class Tokens extends Context.Service<
  Tokens,
  {
    readonly sign: (purpose: Purpose, caller: Caller) => Effect.Effect<SignedToken>
    /** Returns the caller that the token names. Access and refresh tokens are not interchangeable. */
    readonly verify: (purpose: Purpose, token: string) => Effect.Effect<Caller, Unauthenticated>
  }
>()("@holdfast/server/Tokens") {
  static readonly layer: Layer.Layer<Tokens, never, ServerConfig> = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const settings = yield* ServerConfig
      const key = new TextEncoder().encode(Redacted.value(settings.secret))
      const accessTokens = yield* Cache.makeWith((token: string) => check(key, "access", token), {
        capacity: REMEMBERED_TOKENS,
        timeToLive: (exit) => (Exit.isSuccess(exit) ? Math.max(0, exit.value.expiresAtMs - Date.now()) : 0)
      })
      return {
        sign: (purpose, caller) =>
          sign(key, purpose, caller, purpose === "access" ? settings.accessTokenMs : settings.refreshTokenMs),
        verify: (purpose, token) =>
          Effect.map(
            purpose === "access" ? Cache.get(accessTokens, token) : check(key, purpose, token),
            ({ caller }) => caller
          )
      }
    })
  )
}

const sign = Effect.fnUntraced(function* (
  key: Uint8Array,
  purpose: Purpose,
  caller: Caller,
  lifetimeMs: number
) {
  const now = yield* Clock.currentTimeMillis
  const expiresAt = new Date(now + lifetimeMs)
  const token = yield* Effect.promise(() =>
    new SignJWT({ role: caller.role })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setSubject(caller.userId)
      .setIssuer("holdfast")
      .setAudience(purpose)
      .setIssuedAt(new Date(now))
      .setExpirationTime(expiresAt)
      .sign(key)
  )
  return { token, expiresAt }
})

const check = Effect.fnUntraced(function* (key: Uint8Array, purpose: Purpose, token: string) {
  const { payload } = yield* Effect.tryPromise({
    try: () => jwtVerify(token, key, { algorithms: ["HS256"], issuer: "holdfast", audience: purpose }),
    catch: (cause) => new Unauthenticated({ reason: reasonOf(cause) })
  })
  const claims = decodeClaims(payload)
  if (Result.isFailure(claims)) return yield* new Unauthenticated({ reason: "invalid" })
  const { exp, role, sub } = claims.success
  return { caller: { userId: sub, role }, expiresAtMs: exp * 1_000 }
})

const decodeClaims = Schema.decodeUnknownResult(Schema.Struct({ sub: UserId, role: Role, exp: Schema.Int }))

const reasonOf = (cause: unknown) => {
  if (cause instanceof errors.JWTExpired) return "expired"
  return cause instanceof errors.JWSInvalid || cause instanceof errors.JWTInvalid ? "malformed" : "invalid"
}
