import type { OpenSession, Role, SessionId, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { type SqlBool, sql } from "kysely"
import { db } from "../../../platform/db/database.ts"
import { bytesOf, sessionIdOf, userIdOf } from "../../../platform/db/ids.ts"
import { readAt, tx } from "../../../platform/db/transaction.ts"
import type { RequestOrigin } from "../../../platform/trpc/handler.ts"

/** A login that begins. */
export interface NewSession {
  readonly id: SessionId
  readonly userId: UserId
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly origin: RequestOrigin
}

/** As much as the columns hold. Both texts may be anything that a caller wrote into a header. */
const originColumns = ({ address, userAgent }: RequestOrigin) => ({
  address: address.slice(0, 64).toWellFormed(),
  user_agent: userAgent.slice(0, 200).toWellFormed()
})

export const insertSession = ({ createdAt, expiresAt, id, origin, userId }: NewSession) =>
  tx.affected((q) =>
    q.insertInto("user_sessions").values({
      id: bytesOf(id),
      user_id: bytesOf(userId),
      created_at: createdAt,
      last_used_at: createdAt,
      expires_at: expiresAt,
      ...originColumns(origin)
    })
  )

/** A session before its refresh token is exchanged. */
export interface LockedSession {
  readonly userId: UserId
  readonly generation: number
  /** When the generation was issued. */
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly hasEnded: boolean
}

export const lockSession = (id: SessionId) =>
  tx
    .timed((q) =>
      q
        .selectFrom("user_sessions")
        .select(["user_id", "generation", "last_used_at", "expires_at", "ended_at", readAt])
        .where("id", "=", bytesOf(id))
        .forUpdate()
    )
    .pipe(
      Effect.map(([row]): LockedSession | undefined =>
        row === undefined
          ? undefined
          : {
              userId: userIdOf(row.user_id),
              generation: row.generation,
              issuedAt: row.last_used_at,
              expiresAt: row.expires_at,
              hasEnded: row.ended_at !== null
            }
      )
    )

/** The session's next generation begins. */
export const advanceSession = (id: SessionId, origin: RequestOrigin, now: Date) =>
  tx.affected((q) =>
    q
      .updateTable("user_sessions")
      .set(({ eb }) => ({
        generation: eb("generation", "+", 1),
        last_used_at: now,
        ...originColumns(origin)
      }))
      .where("id", "=", bytesOf(id))
  )

const ended = { ended_at: sql<Date>`utc_timestamp(3)` }

/** Ends a session of the user. Returns whether the user has it; it may have ended before. */
export const endSession = (userId: UserId, id: SessionId) =>
  Effect.gen(function* () {
    const row = yield* tx.first((q) =>
      q
        .selectFrom("user_sessions")
        .select("ended_at")
        .where("id", "=", bytesOf(id))
        .where("user_id", "=", bytesOf(userId))
        .forUpdate()
    )
    if (row?.ended_at === null)
      yield* tx.affected((q) => q.updateTable("user_sessions").set(ended).where("id", "=", bytesOf(id)))
    return row !== undefined
  })

/** Ends all sessions of the user but one, or all of them. Whoever calls this holds the lock of the user's row. */
export const endSessionsOf = (userId: UserId, except?: SessionId) =>
  tx.affected((q) =>
    q
      .updateTable("user_sessions")
      .set(ended)
      .where("user_id", "=", bytesOf(userId))
      .where("ended_at", "is", null)
      .$if(except !== undefined, (query) => query.where("id", "!=", bytesOf(except!)))
  )

const isOpen = sql<SqlBool>`user_sessions.ended_at is null and user_sessions.expires_at > utc_timestamp(3)`

/** The roles of the users of those sessions that are open, unless the user is blocked. */
export const rolesOfSessions = (ids: ReadonlyArray<SessionId>) =>
  db
    .rows((q) =>
      q
        .selectFrom("user_sessions")
        .innerJoin("users", "users.id", "user_sessions.user_id")
        .select(["user_sessions.id", "users.role"])
        .where("user_sessions.id", "in", ids.map(bytesOf))
        .where(isOpen)
        .where("users.blocked_at", "is", null)
    )
    .pipe(Effect.map((rows) => new Map<SessionId, Role>(rows.map(({ id, role }) => [sessionIdOf(id), role]))))

/** Open sessions of the user before one, newest first. */
export const listSessions = (userId: UserId, before: SessionId | undefined, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("user_sessions")
        .select(["id", "created_at", "last_used_at", "expires_at", "address", "user_agent"])
        .where("user_id", "=", bytesOf(userId))
        .where(isOpen)
        .$if(before !== undefined, (query) => query.where("id", "<", bytesOf(before!)))
        .orderBy("id", "desc")
        .limit(limit)
    )
    .pipe(
      Effect.map((rows) =>
        rows.map((row): Omit<OpenSession, "isCurrent"> => ({
          id: sessionIdOf(row.id),
          createdAt: row.created_at,
          lastUsedAt: row.last_used_at,
          expiresAt: row.expires_at,
          address: row.address,
          userAgent: row.user_agent
        }))
      )
    )
