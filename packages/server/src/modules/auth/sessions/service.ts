import {
  contract,
  InvalidCredentials,
  normalisePassword,
  type SessionId,
  SessionId as SessionIdSchema,
  SessionNotFound,
  Unauthenticated,
  type User
} from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { ServerConfig } from "../../../config.ts"
import { newSessionId } from "../../../platform/db/ids.ts"
import { makePages } from "../../../platform/db/pagination.ts"
import { databaseTime, inTransaction } from "../../../platform/db/transaction.ts"
import { query, type RequestOrigin } from "../../../platform/trpc/handler.ts"
import { LoginAttempts } from "../login-attempts.ts"
import { Passwords } from "../passwords.ts"
import {
  type Account,
  findAccountByEmail,
  lockAccountRows,
  readAccount,
  updatePasswordHash
} from "../repository.ts"
import { recordRefusedLogins, recordSecurityEvent, reportRefusedLogin } from "../security-events.ts"
import { Tokens } from "../tokens.ts"
import { OpenSessions } from "./open-sessions.ts"
import {
  advanceSession,
  endSession,
  insertSession,
  listSessions,
  lockSession,
  type NewSession
} from "./repository.ts"

/**
 * How long the refresh token before the latest one is still exchanged: two tabs use the same one at once, and a reply is
 * lost. Both get tokens of the same next generation.
 */
const GRACE_MS = 10_000

/** How often a login starts over because the account has changed while its password was verified. */
const LOGIN_RETRIES = 3

/**
 * Verifies e-mail and password and opens a session. Whoever is blocked gets the answer of a wrong password: it tells
 * strangers nothing.
 */
export const login = query(
  contract.auth.login,
  Effect.fnUntraced(function* ({ input: { email, password }, request: origin }) {
    const session = yield* Effect.suspend(() => logIn(email, password, origin)).pipe(
      Effect.retry({ while: (error) => error instanceof AccountChanged, times: LOGIN_RETRIES }),
      Effect.catchIf(
        (error) => error instanceof AccountChanged,
        () => Effect.undefined
      )
    )
    return session ?? (yield* new InvalidCredentials())
  })
)

/** Another login or a change of the password has come between. */
class AccountChanged {
  readonly _tag = "AccountChanged"
}

const logIn = Effect.fnUntraced(function* (email: string, password: string, origin: RequestOrigin) {
  const attempts = yield* LoginAttempts
  const attempt = { email, address: origin.address }
  const account = yield* attempts.of(attempt, accountWith(email, password, origin), (exhausted) =>
    Effect.flatMap(findAccountByEmail(email), (known) =>
      recordRefusedLogins(known?.user.id, origin.address, exhausted)
    )
  )
  if (account === undefined) return undefined
  const session = yield* openSession(account, yield* rehashed(account, password, origin.address), origin)
  return yield* answerOf(account.user, { ...session, generation: 1 })
})

/** The account whose password this is. Takes the same time for everybody else and for nobody. */
const accountWith = Effect.fnUntraced(function* (
  email: string,
  password: string,
  { address }: RequestOrigin
) {
  const account = yield* findAccountByEmail(email)
  const isRight = yield* isPasswordOf(account, password, address)
  if (isRight && account?.isBlocked === false) return account
  yield* reportRefusedLogin(account?.user.id, address)
  return undefined
})

/** A hash from before passwords were normalised is of the password as it was typed. */
export const isPasswordOf = Effect.fnUntraced(function* (
  account: Account | undefined,
  password: string,
  address: string
) {
  const { verify } = yield* Passwords
  const normalised = normalisePassword(password)
  if (yield* verify(normalised, account?.passwordHash, address)) return true
  return normalised !== password && (yield* verify(password, account?.passwordHash, address))
})

/** A new hash when the stored one has other costs than hashes have now. */
const rehashed = Effect.fnUntraced(function* ({ passwordHash }: Account, password: string, address: string) {
  const passwords = yield* Passwords
  return passwords.isCurrent(passwordHash)
    ? undefined
    : yield* passwords.hash(normalisePassword(password), address)
})

/** The user's row is locked until the session is there, so whoever blocks the user ends it, too. */
const openSession = Effect.fnUntraced(function* (
  verified: Account,
  newHash: string | undefined,
  origin: RequestOrigin
) {
  const { sessionMs } = yield* ServerConfig
  const userId = verified.user.id
  return yield* inTransaction(
    Effect.gen(function* () {
      const account = (yield* lockAccountRows([userId])).get(userId)
      const isUnchanged = account?.passwordHash === verified.passwordHash && !account.isBlocked
      if (!isUnchanged || account.user.role !== verified.user.role)
        return yield* Effect.fail(new AccountChanged())
      if (newHash !== undefined) yield* updatePasswordHash(userId, newHash)
      const createdAt = yield* databaseTime
      const expiresAt = new Date(createdAt.getTime() + sessionMs[account.user.role])
      const session: NewSession = { id: newSessionId(), userId, createdAt, expiresAt, origin }
      yield* insertSession(session)
      yield* recordSecurityEvent({ kind: "login", userId, sessionId: session.id, address: origin.address })
      return session
    })
  )
})

/** What a login and a refresh answer. */
const answerOf = Effect.fnUntraced(function* (
  user: User,
  { expiresAt, generation, id }: Pick<NewSession, "id" | "expiresAt"> & { readonly generation: number }
) {
  const tokens = yield* Tokens
  const subject = { userId: user.id, role: user.role, sessionId: id, generation, expiresAt }
  return { user, ...(yield* tokens.issue(subject)) }
})

/**
 * Exchanges a refresh token for tokens of the next generation. A token that was exchanged before has two owners, so its
 * session ends: OAuth 2.0 Security Best Current Practice (RFC 9700), section 4.14.2.
 */
export const refresh = query(
  contract.auth.refresh,
  Effect.fnUntraced(function* ({ input, request: origin }) {
    const tokens = yield* Tokens
    const { generation, sessionId } = yield* Effect.fromResult(tokens.verifyRefresh(input.refreshToken))
    const next = yield* inTransaction(exchange(sessionId, generation, origin))
    if (next === "refused") {
      yield* OpenSessions.use(({ forget }) => forget(sessionId))
      return yield* new Unauthenticated({ reason: "invalid" })
    }
    return yield* answerOf(next.user, { id: sessionId, ...next })
  })
)

const exchange = Effect.fnUntraced(function* (id: SessionId, presented: number, origin: RequestOrigin) {
  const session = yield* lockSession(id)
  if (session === undefined || session.hasEnded) return "refused"
  const account = yield* readAccount(session.userId)
  const now = yield* databaseTime
  if (account === undefined || account.isBlocked || session.expiresAt <= now) return "refused"
  const { expiresAt, generation, issuedAt, userId } = session
  if (presented === generation) {
    yield* advanceSession(id, origin, now)
    return { user: account.user, expiresAt, generation: generation + 1 }
  }
  const isInGrace = presented === generation - 1 && now.getTime() - issuedAt.getTime() < GRACE_MS
  if (isInGrace) return { user: account.user, expiresAt, generation }
  yield* endSession(userId, id)
  yield* recordSecurityEvent({
    kind: "refresh token reused",
    userId,
    sessionId: id,
    address: origin.address
  })
  return "refused"
})

export const logout = query(
  contract.auth.logout,
  Effect.fnUntraced(function* ({ caller: { sessionId, userId } }) {
    yield* inTransaction(
      Effect.andThen(
        endSession(userId, sessionId),
        recordSecurityEvent({ kind: "logout", userId, sessionId })
      )
    )
    yield* OpenSessions.use(({ forget }) => forget(sessionId))
    return {}
  })
)

/** Another user's session is not found. */
export const revokeSession = query(
  contract.auth.revokeSession,
  Effect.fnUntraced(function* ({ caller: { userId }, input: { sessionId } }) {
    const isOwn = yield* inTransaction(
      Effect.tap(endSession(userId, sessionId), (found) =>
        found ? recordSecurityEvent({ kind: "session revoked", userId, sessionId }) : Effect.void
      )
    )
    if (!isOwn) return yield* new SessionNotFound({ sessionId })
    yield* OpenSessions.use(({ forget }) => forget(sessionId))
    return {}
  })
)

const pages = makePages(Schema.Struct({ sessionId: SessionIdSchema }))

export const sessionPage = query(contract.auth.sessions, ({ caller, input }) =>
  pages(
    input,
    (before, limit) => listSessions(caller.userId, before?.sessionId, limit),
    ({ id }) => ({ sessionId: id })
  ).pipe(
    Effect.map((page) => ({
      ...page,
      items: page.items.map((session) => ({ ...session, isCurrent: session.id === caller.sessionId }))
    }))
  )
)
