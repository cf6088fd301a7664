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
import { Effect, Result, Schema } from "effect"
import { createHash } from "node:crypto"
import { command } from "../../platform/command/command.ts"
import { newUserId } from "../../platform/db/ids.ts"
import { KeyNamespace } from "../../platform/db/key-namespace.ts"
import { databaseTime, inTransaction } from "../../platform/db/transaction.ts"
import { invalidInputOf } from "../../platform/trpc/errors.ts"
import { type Call, type Caller, query } from "../../platform/trpc/handler.ts"
import { openAccounts } from "../points/service.ts"
import { LoginAttempts } from "./login-attempts.ts"
import { requireStrength } from "./password-strength.ts"
import { Passwords } from "./passwords.ts"
import {
  type Account,
  findAccountByEmail,
  findAccountById,
  findUserById,
  insertUsers,
  lockAccountRows,
  lockEmails,
  type NewUser,
  updatePasswordHash
} from "./repository.ts"
import { recordRefusedLogins, recordSecurityEvent } from "./security-events.ts"
import { endSessionsOf } from "./sessions/repository.ts"
import { isPasswordOf } from "./sessions/service.ts"

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
  yield* requireStrength("password", password, email)
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
  const existing = yield* findAccountByEmail(email)
  if (existing !== undefined) return existing.user
  const admin = yield* newUser({ email, role: "admin", password, address: "this server" })
  return yield* inTransaction(
    Effect.gen(function* () {
      const taken = yield* lockEmails([email])
      if (taken.has(email)) return undefined
      const user: User = { ...admin.user, createdAt: yield* databaseTime }
      yield* insertRegistered([{ ...admin, user }])
      yield* recordSecurityEvent({ kind: "administrator created", userId: user.id })
      return user
    })
  ).pipe(
    Effect.flatMap((user) =>
      user === undefined
        ? Effect.map(findAccountByEmail(email), (found) => found!.user)
        : Effect.succeed(user)
    )
  )
})

const decodeAccount = Schema.decodeUnknownEffect(contract.auth.register.input, { errors: "all" })

/**
 * Changes a password. The current one is verified before anything is locked; the hash that it fits is compared once more
 * when the account is locked, so of two changes at once one is refused.
 */
export const changePassword = command(contract.auth.changePassword, {
  prepare: preparePassword,
  identity: ({ newHash }) => newHash,
  transaction: {
    lock: (changes) => lockAccountRows(changes.map(({ caller }) => caller.userId)),
    decide: changePasswords,
    write: (decided) => Effect.forEach(decided, ({ change }) => putPassword(change), { discard: true })
  }
})

interface PasswordChange {
  readonly caller: Caller
  /** The hash that the given current password fits. */
  readonly verifiedHash: string | undefined
  readonly newHash: string
}

function preparePassword({ caller, input, request }: Call<typeof contract.auth.changePassword>) {
  return Effect.gen(function* () {
    const passwords = yield* Passwords
    const account = yield* findAccountById(caller.userId)
    const { address, idempotencyKey: key } = request
    const isRight = yield* isCurrentPassword(account, input.currentPassword, address)
    yield* requireStrength("newPassword", input.newPassword, account?.user.email ?? "")
    const salt = key === undefined ? undefined : yield* saltOf(caller.userId, key)
    const newHash = yield* passwords.hash(input.newPassword, address, salt)
    const change: PasswordChange = {
      caller,
      verifiedHash: isRight ? account?.passwordHash : undefined,
      newHash
    }
    return change
  })
}

/** A wrong password is one of the few wrong ones that its account has, as it is in a login. */
const isCurrentPassword = Effect.fnUntraced(function* (
  account: Account | undefined,
  password: string,
  address: string
) {
  if (account === undefined) return false
  const attempts = yield* LoginAttempts
  const check = Effect.map(isPasswordOf(account, password, address), (isRight) => isRight || undefined)
  const { email, id } = account.user
  const isRight = yield* attempts.of({ email, address }, check, (exhausted) =>
    recordRefusedLogins(id, address, exhausted)
  )
  return isRight ?? false
})

/** Of several changes of one password, verified against the same hash, the first is made. */
export function changePasswords(
  accounts: ReadonlyMap<UserId, Pick<Account, "passwordHash">>,
  changes: ReadonlyArray<PasswordChange>
) {
  const hashes = new Map([...accounts].map(([userId, { passwordHash }]) => [userId, passwordHash]))
  return changes.map((change) => {
    const { userId } = change.caller
    const current = hashes.get(userId)
    if (current === undefined || current !== change.verifiedHash) return Result.fail(new InvalidCredentials())
    hashes.set(userId, change.newHash)
    return Result.succeed({ output: {}, change })
  })
}

function putPassword({ caller: { sessionId, userId }, newHash }: PasswordChange) {
  return Effect.gen(function* () {
    yield* updatePasswordHash(userId, newHash)
    yield* endSessionsOf(userId, sessionId)
    yield* recordSecurityEvent({ kind: "password changed", userId, sessionId })
  })
}

export const me = query(contract.auth.me, ({ caller }) => existingUser(caller.userId))

/** A user may have been deleted since the token was issued. */
const existingUser = Effect.fnUntraced(function* (userId: UserId) {
  return (yield* findUserById(userId)) ?? (yield* new Unauthenticated({ reason: "invalid" }))
})

export const userExists = (userId: UserId) => Effect.map(findUserById(userId), (user) => user !== undefined)
