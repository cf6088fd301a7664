import type { Role, User, UserId } from "@holdfast/domain"
import { read } from "../../platform/db/database.ts"
import { bytesOf, userIdOf } from "../../platform/db/ids.ts"
import { write, writeUnique } from "../../platform/db/transaction.ts"

const userColumns = ["id", "email", "role", "created_at"] as const

interface UserRow {
  readonly id: Buffer
  readonly email: string
  readonly role: Role
  readonly created_at: Date
}

export const userOf = (row: UserRow): User => ({
  id: userIdOf(row.id),
  email: row.email,
  role: row.role,
  createdAt: row.created_at
})

/** The unique key on the e-mail decides who is first. */
export const insertUser = (user: User, passwordHash: string) =>
  writeUnique((tx, options) =>
    tx
      .insertInto("users")
      .values({
        id: bytesOf(user.id),
        email: user.email,
        role: user.role,
        password_hash: passwordHash,
        created_at: user.createdAt
      })
      .execute(options)
  )

export const insertPointAccount = (userId: UserId) =>
  write((tx, options) =>
    tx
      .insertInto("point_accounts")
      .values({ user_id: bytesOf(userId), balance: 0 })
      .execute(options)
  )

export const findUserByEmail = (email: string) =>
  read((db, options) =>
    db
      .selectFrom("users")
      .select([...userColumns, "password_hash"])
      .where("email", "=", email)
      .executeTakeFirst(options)
  )

export const findUserById = (userId: UserId) =>
  read((db, options) =>
    db.selectFrom("users").select(userColumns).where("id", "=", bytesOf(userId)).executeTakeFirst(options)
  )
