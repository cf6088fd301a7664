import type { Role, User, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { type Selectable, sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, userIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { readAt, tx } from "../../platform/db/transaction.ts"

const userColumns = ["id", "email", "role", "created_at"] as const

const userOf = (row: Pick<Selectable<DB["users"]>, (typeof userColumns)[number]>): User => ({
  id: userIdOf(row.id),
  email: row.email,
  role: row.role,
  createdAt: row.created_at
})

/** A user and the hash of their password. */
export interface NewUser {
  readonly user: User
  readonly passwordHash: string
}

/** The unique key on the e-mail decides: the loser's transaction starts over and finds the winner's row. */
export const insertUsers = (users: ReadonlyArray<NewUser>) =>
  tx.insertOrRestart((q) =>
    q.insertInto("users").values(
      users.map(({ passwordHash, user }) => ({
        id: bytesOf(user.id),
        email: user.email,
        role: user.role,
        password_hash: passwordHash,
        created_at: user.createdAt
      }))
    )
  )

/** Which of these e-mails belong to a user. */
export const lockEmails = (emails: ReadonlyArray<string>) =>
  tx
    .timed((q) => q.selectFrom("users").select(["email", readAt]).where("email", "in", emails).forUpdate())
    .pipe(Effect.map((rows) => new Set(rows.map(({ email }) => email))))

/** A user, and what decides whether they may log in. */
export interface Account extends NewUser {
  readonly isBlocked: boolean
}

const accountColumns = [...userColumns, "password_hash", "blocked_at"] as const

const accountOf = (row: Pick<Selectable<DB["users"]>, (typeof accountColumns)[number]>): Account => ({
  user: userOf(row),
  passwordHash: row.password_hash,
  isBlocked: row.blocked_at !== null
})

/** The account with this e-mail, or `undefined`. */
export const findAccountByEmail = (email: string) =>
  db
    .first((q) => q.selectFrom("users").select(accountColumns).where("email", "=", email))
    .pipe(Effect.map((row) => (row === undefined ? undefined : accountOf(row))))

export const findAccountById = (userId: UserId) =>
  db
    .first((q) => q.selectFrom("users").select(accountColumns).where("id", "=", bytesOf(userId)))
    .pipe(Effect.map((row) => (row === undefined ? undefined : accountOf(row))))

/** The same inside a transaction, without a lock. */
export const readAccount = (userId: UserId) =>
  tx
    .first((q) => q.selectFrom("users").select(accountColumns).where("id", "=", bytesOf(userId)))
    .pipe(Effect.map((row) => (row === undefined ? undefined : accountOf(row))))

/** Locks accounts in primary-key order. Whoever changes the access of a user holds this lock. */
export const lockAccountRows = (userIds: ReadonlyArray<UserId>) =>
  tx
    .timed((q) =>
      q
        .selectFrom("users")
        .select([...accountColumns, readAt])
        .where("id", "in", userIds.map(bytesOf))
        .orderBy("id")
        .forUpdate()
    )
    .pipe(Effect.map((rows) => new Map(rows.map((row) => [userIdOf(row.id), accountOf(row)]))))

export const updatePasswordHash = (userId: UserId, passwordHash: string) =>
  tx.affected((q) =>
    q.updateTable("users").set({ password_hash: passwordHash }).where("id", "=", bytesOf(userId))
  )

export const findUserById = (userId: UserId) =>
  db
    .first((q) => q.selectFrom("users").select(userColumns).where("id", "=", bytesOf(userId)))
    .pipe(Effect.map((row) => (row === undefined ? undefined : userOf(row))))

/** Changes what a user may do. Whoever calls this holds the lock of the user's row. */
export const updateAccess = (
  userId: UserId,
  { isBlocked, role }: { readonly role?: Role; readonly isBlocked?: boolean }
) =>
  tx.affected((q) =>
    q
      .updateTable("users")
      .set({
        ...(role === undefined ? {} : { role }),
        ...(isBlocked === undefined ? {} : { blocked_at: isBlocked ? sql<Date>`utc_timestamp(3)` : null })
      })
      .where("id", "=", bytesOf(userId))
  )
