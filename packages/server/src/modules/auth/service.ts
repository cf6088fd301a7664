import {
  contract,
  EmailTaken,
  InvalidCredentials,
  RegisterLock,
  type Role,
  Unauthenticated,
  type User,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { ANONYMOUS, withIdempotency, orAnsweredBefore } from "../../platform/idempotency/idempotency.ts"
import { newUserId } from "../../platform/db/ids.ts"
import { inTransaction } from "../../platform/db/transaction.ts"
import { withLock } from "@holdfast/locks"
import type { Call } from "../../platform/trpc/adapter.ts"
import { mapLockErrors } from "../../platform/trpc/lock-errors.ts"
import { Passwords } from "./passwords.ts"
import { findUserByEmail, findUserById, insertPointAccount, insertUser, userOf } from "./repository.ts"
import { Tokens } from "./tokens.ts"

/** The hash is computed before anything is held: it takes longer than all the rest together. */
export const register = Effect.fn("register")(function* ({
  input,
  request
}: Call<typeof contract.auth.register>) {
  const passwords = yield* Passwords
  const passwordHash = yield* passwords.hash(input.password)
  const mutation = { procedure: contract.auth.register, userId: ANONYMOUS, request, input }
  return yield* withIdempotency(mutation, createUser(input.email, "user", passwordHash)).pipe(
    withLock(RegisterLock, input.email),
    orAnsweredBefore(mutation),
    mapLockErrors
  )
})

/** The account is made with the user, so that every user has exactly one. */
const createUser = Effect.fnUntraced(function* (email: string, role: Role, passwordHash: string) {
  const user: User = { id: newUserId(), email, role, createdAt: new Date(yield* Clock.currentTimeMillis) }
  yield* insertUser(user, passwordHash).pipe(
    Effect.catchTag("UniqueViolation", () => Effect.fail(new EmailTaken({ email })))
  )
  yield* insertPointAccount(user.id)
  return user
})

/** Makes sure that there is an administrator with this e-mail; the password of one who exists stays as it is. */
export const ensureAdmin = Effect.fn("ensureAdmin")(function* (email: string, password: string) {
  const existing = yield* findUserByEmail(email)
  if (existing !== undefined) return userOf(existing)
  const passwords = yield* Passwords
  const passwordHash = yield* passwords.hash(password)
  return yield* inTransaction(createUser(email, "admin", passwordHash)).pipe(
    Effect.catchTag("EmailTaken", () => Effect.map(findUserByEmail(email), (row) => userOf(row!)))
  )
})

export const login = Effect.fn("login")(function* ({ input }: Call<typeof contract.auth.login>) {
  const passwords = yield* Passwords
  const row = yield* findUserByEmail(input.email)
  const fits = yield* passwords.verify(input.password, row?.password_hash)
  if (row === undefined || !fits) return yield* new InvalidCredentials()
  return yield* openSession(userOf(row))
})

/** The user is read again, so that a changed role takes effect with the next refresh at the latest. */
export const refresh = Effect.fn("refresh")(function* ({ input }: Call<typeof contract.auth.refresh>) {
  const tokens = yield* Tokens
  const { userId } = yield* tokens.verify("refresh", input.refreshToken)
  const row = yield* findUserById(userId)
  if (row === undefined) return yield* new Unauthenticated({ reason: "invalid" })
  return yield* openSession(userOf(row))
})

const openSession = Effect.fnUntraced(function* (user: User) {
  const tokens = yield* Tokens
  const caller = { userId: user.id, role: user.role }
  const access = yield* tokens.sign("access", caller)
  const refreshToken = yield* tokens.sign("refresh", caller)
  return {
    user,
    accessToken: access.token,
    accessExpiresAt: access.expiresAt,
    refreshToken: refreshToken.token,
    refreshExpiresAt: refreshToken.expiresAt
  }
})

export const userExists = (userId: UserId) => Effect.map(findUserById(userId), (row) => row !== undefined)

export const me = Effect.fn("me")(function* ({ caller }: Call<typeof contract.auth.me>) {
  const row = yield* findUserById(caller.userId)
  if (row === undefined) return yield* new Unauthenticated({ reason: "invalid" })
  return userOf(row)
})
