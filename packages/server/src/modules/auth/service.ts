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
import { Effect, Result } from "effect"
import { command } from "../../platform/command/command.ts"
import { newUserId } from "../../platform/db/ids.ts"
import { databaseTime, inTransaction } from "../../platform/db/transaction.ts"
import { query } from "../../platform/trpc/handler.ts"
import { openAccounts } from "../points/service.ts"
import { Passwords } from "./passwords.ts"
import { findUserByEmail, findUserById, insertUsers, lockEmails, type NewUser } from "./repository.ts"
import { Tokens } from "./tokens.ts"

/** Signs a user up. The hash is computed before anything is locked: it takes longer than all the rest together. */
export const register = command(contract.auth.register, {
  prepare: ({ input: { email, password } }) => newUser(email, "user", password),
  lock: ({ user }) => RegisterLock.of(user.email),
  transaction: {
    lock: (users) => lockEmails(users.map(({ user }) => user.email)),
    decide: registerUsers,
    write: insertRegistered
  }
})

const newUser = Effect.fnUntraced(function* (email: string, role: Role, password: string) {
  const passwords = yield* Passwords
  const passwordHash = yield* passwords.hash(password)
  const requested: RequestedUser = { user: { id: newUserId(), email, role }, passwordHash }
  return requested
})

/** A user who is to sign up. */
interface RequestedUser {
  readonly user: Omit<User, "createdAt">
  readonly passwordHash: string
}

interface RegisteredUser extends NewUser {
  readonly output: User
}

/** One user for each e-mail. */
export function registerUsers(
  emails: ReadonlySet<string>,
  users: ReadonlyArray<RequestedUser>,
  now: Date
): ReadonlyArray<Result.Result<RegisteredUser, EmailTaken>> {
  const taken = new Set(emails)
  return users.map(({ passwordHash, user }) => {
    const { email } = user
    if (taken.has(email)) return Result.fail(new EmailTaken({ email }))
    taken.add(email)
    const output: User = { ...user, createdAt: now }
    return Result.succeed({ user: output, passwordHash, output })
  })
}

/** The account is inserted with its user. */
function insertRegistered(users: ReadonlyArray<NewUser>) {
  return Effect.gen(function* () {
    yield* insertUsers(users)
    yield* openAccounts(users.map(({ user }) => user.id))
  })
}

/** Makes sure that an administrator with this e-mail exists. An existing user keeps password and role. */
export const ensureAdmin = Effect.fn("ensureAdmin")(function* (email: string, password: string) {
  const existing = yield* findUserByEmail(email)
  if (existing !== undefined) return existing.user
  const admin = yield* newUser(email, "admin", password)
  return yield* inTransaction(
    Effect.gen(function* () {
      const taken = yield* lockEmails([email])
      if (taken.has(email)) return undefined
      const user: User = { ...admin.user, createdAt: yield* databaseTime }
      yield* insertRegistered([{ ...admin, user }])
      return user
    })
  ).pipe(
    Effect.flatMap((user) =>
      user === undefined ? Effect.map(findUserByEmail(email), (found) => found!.user) : Effect.succeed(user)
    )
  )
})

export const login = query(
  contract.auth.login,
  Effect.fnUntraced(function* ({ input }) {
    const passwords = yield* Passwords
    const found = yield* findUserByEmail(input.email)
    const isRight = yield* passwords.verify(input.password, found?.passwordHash)
    if (found === undefined || !isRight) return yield* new InvalidCredentials()
    return yield* openSession(found.user)
  })
)

/** Reads the user again, so a changed role takes effect with the next refresh at the latest. */
export const refresh = query(
  contract.auth.refresh,
  Effect.fnUntraced(function* ({ input }) {
    const tokens = yield* Tokens
    const { userId } = yield* tokens.verify("refresh", input.refreshToken)
    return yield* openSession(yield* existingUser(userId))
  })
)

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

export const me = query(contract.auth.me, ({ caller }) => existingUser(caller.userId))

/** A user may have been deleted since the token was issued. */
const existingUser = Effect.fnUntraced(function* (userId: UserId) {
  return (yield* findUserById(userId)) ?? (yield* new Unauthenticated({ reason: "invalid" }))
})

export const userExists = (userId: UserId) => Effect.map(findUserById(userId), (user) => user !== undefined)
