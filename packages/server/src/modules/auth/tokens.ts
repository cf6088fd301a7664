import { Role, SessionId, Unauthenticated, UserId } from "@holdfast/domain"
import { Context, Effect, Layer, Result, Schema } from "effect"
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose"
import { LRUCache } from "lru-cache"
import { ServerConfig } from "../../config.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import type { Caller } from "../../platform/trpc/handler.ts"
import { type KeyRing, makeKeyRing } from "./key-ring.ts"

/** What the tokens of a session say. */
export interface TokenSubject extends Caller {
  /** How often the session's refresh token has been exchanged; see the table `user_sessions`. */
  readonly generation: number
  /** No token lives longer than its session. */
  readonly expiresAt: Date
}

/** The tokens of one generation of a session. */
interface TokenPair {
  readonly accessToken: string
  readonly accessExpiresAt: Date
  readonly refreshToken: string
  readonly refreshExpiresAt: Date
}

/** Which generation of which session a refresh token belongs to. */
interface RefreshClaims {
  readonly sessionId: SessionId
  readonly generation: number
}

/** How many characters of verified tokens are remembered: a lookup is cheaper than a signature. */
const REMEMBERED_LENGTH = 16_000_000

const ISSUER = "holdfast"

/** How long a token is still accepted after it expired: the processes measure the database's clock at different times. */
const LEEWAY_MS = 1_000

/** The tokens that a server makes have about 400 characters. */
const MAXIMUM_LENGTH = 1_024

/**
 * Makes and checks the tokens of a session: JWTs signed with HMAC-SHA-256 (RFC 7519). They expire by the database's
 * clock, so it does not matter which process made one and which checks it. Access and refresh tokens are not
 * interchangeable. Whether the session has ended is not looked at.
 */
export class Tokens extends Context.Service<
  Tokens,
  {
    readonly issue: (subject: TokenSubject) => Effect.Effect<TokenPair>
    /** Returns the caller that the token names. */
    readonly verifyAccess: (token: string) => Result.Result<Caller, Unauthenticated>
    readonly verifyRefresh: (token: string) => Result.Result<RefreshClaims, Unauthenticated>
  }
>()("@holdfast/server/Tokens") {
  static readonly layer: Layer.Layer<Tokens, never, ServerConfig | DatabaseClock> = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const { acceptedSecrets, accessTokenMs, secret } = yield* ServerConfig
      const keys = makeKeyRing(secret, acceptedSecrets)
      const { nowMs } = yield* DatabaseClock
      const unexpired = <A>(checked: Checked<A>): Result.Result<A, Unauthenticated> => {
        if (Result.isFailure(checked)) return Result.fail(checked.failure)
        const { claims, expiresAtMs } = checked.success
        if (nowMs() >= expiresAtMs + LEEWAY_MS) return Result.fail(new Unauthenticated({ reason: "expired" }))
        return Result.succeed(claims)
      }
      const remembered = new LRUCache<string, Checked<Caller>>({
        maxSize: REMEMBERED_LENGTH,
        sizeCalculation: (_checked, token) => token.length
      })
      const remember = (token: string): Checked<Caller> => {
        const known = remembered.get(token)
        if (known !== undefined) return known
        const checked = check(keys, decodeAccess, callerOf, token)
        if (Result.isSuccess(checked)) remembered.set(token, checked)
        return checked
      }
      return {
        issue: (subject) => Effect.suspend(() => issue(keys, subject, nowMs(), accessTokenMs)),
        verifyAccess: (token) => unexpired(remember(token)),
        verifyRefresh: (token) => unexpired(check(keys, decodeRefresh, refreshClaimsOf, token))
      }
    })
  )
}

const issue = Effect.fnUntraced(function* (
  keys: KeyRing,
  { expiresAt, generation, role, sessionId, userId }: TokenSubject,
  now: number,
  accessTokenMs: number
) {
  const accessExpiresAt = new Date(Math.min(now + accessTokenMs, expiresAt.getTime()))
  const sign = (audience: string, claims: object, expires: Date) =>
    Effect.promise(() =>
      new SignJWT({ sid: sessionId, ...claims })
        .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: keys.newest.id })
        .setSubject(userId)
        .setIssuer(ISSUER)
        .setAudience(audience)
        .setIssuedAt(new Date(now))
        .setExpirationTime(expires)
        .sign(keys.newest.key)
    )
  return {
    accessToken: yield* sign("access", { role }, accessExpiresAt),
    accessExpiresAt,
    refreshToken: yield* sign("refresh", { gen: generation }, expiresAt),
    refreshExpiresAt: expiresAt
  }
})

interface Verified<A> {
  readonly claims: A
  readonly expiresAtMs: number
}

type Checked<A> = Result.Result<Verified<A>, Unauthenticated>

/** Checks the signature and the claims, but not the expiry, which the caller compares with the database's clock. */
const check = <C extends { readonly exp: number }, A>(
  keys: KeyRing,
  decode: (claims: unknown) => Result.Result<C, unknown>,
  meaningOf: (claims: C) => A,
  token: string
): Checked<A> => {
  const parsed = token.length > MAXIMUM_LENGTH ? undefined : parse(token)
  if (parsed === undefined) return Result.fail(new Unauthenticated({ reason: "malformed" }))
  const { alg, crit, kid } = parsed.header
  const isSigned = alg === "HS256" && crit === undefined && keys.isSigned(kid, token)
  const decoded = decode(parsed.claims)
  return isSigned && Result.isSuccess(decoded)
    ? Result.succeed({ claims: meaningOf(decoded.success), expiresAtMs: decoded.success.exp * 1_000 })
    : Result.fail(new Unauthenticated({ reason: "invalid" }))
}

const parse = (token: string) => {
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  } catch {
    return undefined
  }
}

const commonClaims = {
  iss: Schema.Literal(ISSUER),
  sub: UserId,
  sid: SessionId,
  exp: Schema.Int
}
const AccessToken = Schema.Struct({ ...commonClaims, aud: Schema.Literal("access"), role: Role })
const RefreshToken = Schema.Struct({ ...commonClaims, aud: Schema.Literal("refresh"), gen: Schema.Int })

const decodeAccess = Schema.decodeUnknownResult(AccessToken)
const decodeRefresh = Schema.decodeUnknownResult(RefreshToken)

const callerOf = ({ role, sid, sub }: typeof AccessToken.Type): Caller => ({
  userId: sub,
  role,
  sessionId: sid
})

const refreshClaimsOf = ({ gen, sid }: typeof RefreshToken.Type): RefreshClaims => ({
  sessionId: sid,
  generation: gen
})
