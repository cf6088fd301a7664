import type { User, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import type { Selectable } from "kysely"
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

/** The user with this e-mail and the hash of their password, or `undefined`. */
export const findUserByEmail = (email: string) =>
  db
    .first((q) =>
      q
        .selectFrom("users")
        .select([...userColumns, "password_hash"])
        .where("email", "=", email)
    )
    .pipe(
      Effect.map((row) =>
        row === undefined ? undefined : { user: userOf(row), passwordHash: row.password_hash }
      )
    )

export const findUserById = (userId: UserId) =>
  db
    .first((q) => q.selectFrom("users").select(userColumns).where("id", "=", bytesOf(userId)))
    .pipe(Effect.map((row) => (row === undefined ? undefined : userOf(row))))
