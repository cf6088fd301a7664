import { contract, normaliseEmail, type Role, UserNotFound } from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { inTransaction } from "../../platform/db/transaction.ts"
import { invalidInputOf } from "../../platform/trpc/errors.ts"
import { type Account, findAccountByEmail, lockAccountRows, updateAccess } from "./repository.ts"
import { recordSecurityEvent } from "./security-events.ts"
import { ensureAdmin } from "./service.ts"
import { endSessionsOf } from "./sessions/repository.ts"

/**
 * Gives the user with this e-mail a role. Another role than before ends their sessions, so that no token of the old one
 * is left. Returns whether anything has changed; fails with `InvalidInput` and `UserNotFound`.
 */
export const giveRole = (email: string, role: Role) =>
  changeAccess(email, ({ user }) =>
    user.role === role
      ? undefined
      : { columns: { role }, event: role === "admin" ? "role granted" : "role taken" }
  )

/** Blocks the user with this e-mail, which ends their sessions, or lets them log in again. Results as {@link giveRole}. */
export const setBlocked = (email: string, isBlocked: boolean) =>
  changeAccess(email, (account) =>
    account.isBlocked === isBlocked
      ? undefined
      : { columns: { isBlocked }, event: isBlocked ? "user blocked" : "user unblocked" }
  )

/**
 * Creates an administrator. Returns `created`, or the role that the user with this e-mail has already, which is not
 * changed; fails with `InvalidInput`.
 */
export const createAdmin = Effect.fn("createAdmin")(function* (email: string, password: string) {
  const existing = yield* findAccountByEmail(normaliseEmail(email))
  if (existing !== undefined) return existing.user.role
  yield* ensureAdmin(email, password)
  return "created" as const
})

interface AccessChange {
  readonly columns: Parameters<typeof updateAccess>[1]
  readonly event: "role granted" | "role taken" | "user blocked" | "user unblocked"
}

/** The lock of the user's row keeps logins out until the sessions have ended. */
const changeAccess = Effect.fn("changeAccess")(function* (
  givenEmail: string,
  changeOf: (account: Account) => AccessChange | undefined
) {
  const email = yield* decodeEmail(givenEmail).pipe(Effect.mapError(invalidInputOf))
  const found = yield* findAccountByEmail(email)
  if (found === undefined) return yield* new UserNotFound({ userId: email })
  const userId = found.user.id
  return yield* inTransaction(
    Effect.gen(function* () {
      const account = (yield* lockAccountRows([userId])).get(userId)
      const change = account && changeOf(account)
      if (change === undefined) return false
      yield* updateAccess(userId, change.columns)
      yield* endSessionsOf(userId)
      yield* recordSecurityEvent({ kind: change.event, userId })
      return true
    })
  )
})

const decodeEmail = Schema.decodeUnknownEffect(contract.auth.login.input.fields.email)
