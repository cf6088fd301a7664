import { Role, Unauthenticated, UserId } from "@holdfast/domain"
import { Clock, Context, Effect, Layer, Redacted, Result, Schema } from "effect"
import { errors, jwtVerify, SignJWT } from "jose"
import { ServerConfig } from "../../config/ServerConfig.ts"
import type { Caller } from "../../rpc/Request.ts"

type Purpose = "access" | "refresh"

export interface SignedToken {
  readonly token: string
  readonly expiresAt: Date
}

/** Makes and checks the tokens of a login: JWTs signed with HMAC-SHA-256 (RFC 7519). */
export class Tokens extends Context.Service<
  Tokens,
  {
    readonly sign: (purpose: Purpose, caller: Caller) => Effect.Effect<SignedToken>
    /** Who the token belongs to. An access token is no refresh token, nor the other way round. */
    readonly verify: (purpose: Purpose, token: string) => Effect.Effect<Caller, Unauthenticated>
  }
>()("@holdfast/server/Tokens") {
  static readonly layer: Layer.Layer<Tokens, never, ServerConfig> = Layer.effect(
    Tokens,
    Effect.map(ServerConfig, (settings) => {
      const key = new TextEncoder().encode(Redacted.value(settings.secret))
      const lifetimeMs = { access: settings.accessTokenMs, refresh: settings.refreshTokenMs }
      return {
        sign: (purpose, caller) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const expiresAt = new Date(now + lifetimeMs[purpose])
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
          }),
        verify: (purpose, token) =>
          Effect.tryPromise({
            try: () =>
              jwtVerify(token, key, { algorithms: ["HS256"], issuer: "holdfast", audience: purpose }),
            catch: (cause) => new Unauthenticated({ reason: reasonOf(cause) })
          }).pipe(
            Effect.flatMap(({ payload }) => {
              const claims = decodeClaims(payload)
              return Result.isSuccess(claims)
                ? Effect.succeed({ userId: claims.success.sub, role: claims.success.role })
                : Effect.fail(new Unauthenticated({ reason: "invalid" }))
            })
          )
      }
    })
  )
}

const decodeClaims = Schema.decodeUnknownResult(Schema.Struct({ sub: UserId, role: Role }))

const reasonOf = (cause: unknown) => {
  if (cause instanceof errors.JWTExpired) return "expired"
  return cause instanceof errors.JWSInvalid || cause instanceof errors.JWTInvalid ? "malformed" : "invalid"
}
