import {
  contract,
  EmailTaken,
  InvalidCredentials,
  normalisePassword,
  RegisterLock,
  type Role,
  Unauthenticated,
  type User,
  type UserId
} from "@holdfast/domain"
import { Effect, Result, Schema } from "effect"
import { createHash } from "node:crypto"
import { command } from "../../platform/command/command.ts"
import { newUserId } from "../../platform/db/ids.ts"
import { KeyNamespace } from "../../platform/db/key-namespace.ts"
import { databaseTime, inTransaction } from "../../platform/db/transaction.ts"
import { invalidInputOf } from "../../platform/trpc/errors.ts"
import { query } from "../../platform/trpc/handler.ts"
import { openAccounts } from "../points/service.ts"
import { LoginAttempts } from "./login-attempts.ts"
import { Passwords } from "./passwords.ts"
import { findUserByEmail, findUserById, insertUsers, lockEmails, type NewUser } from "./repository.ts"
import { Tokens } from "./tokens.ts"

/** Signs a user up. The hash is computed before anything is locked: it takes longer than all the rest together. */
export const register = command(contract.auth.register, {
  prepare: Effect.fnUntraced(function* ({
    input: { email, password },
    request: { address, idempotencyKey }
  }) {
    const salt = idempotencyKey === undefined ? undefined : yield* saltOf(email, idempotencyKey)
    return yield* newUser({ email, role: "user", password, address }, salt)
  }),
  // The hash tells passwords apart in the fingerprint, and is as hard to reverse there as in the table of users.
  identity: ({ passwordHash, user }) => ({ email: user.email, passwordHash }),
  lock: ({ user }) => RegisterLock.of(user.email),
  transaction: {
    lock: (users) => lockEmails(users.map(({ user }) => user.email)),
    decide: registerUsers,
    write: insertRegistered
  }
})

/** A salt that is the same for every retry of one sign-up, and for no other sign-up of any database. */
const saltOf = (email: string, idempotencyKey: string) =>
  Effect.gen(function* () {
    const { prefix } = yield* KeyNamespace
    const text = `${yield* prefix}\n${email}\n${idempotencyKey}`
    return createHash("sha256").update(text).digest().subarray(0, 16)
  })

interface Applicant {
  readonly email: string
  readonly role: Role
  readonly password: string
  readonly address: string
}

const newUser = Effect.fnUntraced(function* (
  { address, email, password, role }: Applicant,
  salt?: Uint8Array
) {
  const passwords = yield* Passwords
  const passwordHash = yield* passwords.hash(password, address, salt)
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

/**
 * Makes sure that an administrator with this e-mail exists. An existing user keeps password and role. E-mail and password
 * are normalised as in a sign-up; fails with `InvalidInput` when one of them is not acceptable.
 */
export const ensureAdmin = Effect.fn("ensureAdmin")(function* (givenEmail: string, givenPassword: string) {
  const { email, password } = yield* decodeAccount({ email: givenEmail, password: givenPassword }).pipe(
    Effect.mapError(invalidInputOf)
  )
  const existing = yield* findUserByEmail(email)
  if (existing !== undefined) return existing.user
  const admin = yield* newUser({ email, role: "admin", password, address: "this server" })
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

const decodeAccount = Schema.decodeUnknownEffect(contract.auth.register.input, { errors: "all" })

export const login = query(
  contract.auth.login,
  Effect.fnUntraced(function* ({ input: { email, password }, request: { address } }) {
    const attempts = yield* LoginAttempts
    const user = yield* attempts.of({ email, address }, userWith(email, password, address))
    if (user === undefined) return yield* new InvalidCredentials()
    return yield* openSession(user)
  })
)

/** The user whose password this is. Takes the same time for everybody else and for nobody. */
const userWith = Effect.fnUntraced(function* (email: string, password: string, address: string) {
  const found = yield* findUserByEmail(email)
  const isRight = yield* isPasswordOf(found?.passwordHash, password, address)
  return isRight ? found?.user : undefined
})

/** A hash from before passwords were normalised is of the password as it was typed. */
const isPasswordOf = Effect.fnUntraced(function* (
  passwordHash: string | undefined,
  password: string,
  address: string
) {
  const { verify } = yield* Passwords
  const normalised = normalisePassword(password)
  if (yield* verify(normalised, passwordHash, address)) return true
  return normalised !== password && (yield* verify(password, passwordHash, address))
})

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
