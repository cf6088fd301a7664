import { createHash } from "node:crypto"

/**
 * The table that every database with fenced locks has: the highest token that a transaction under each key began with.
 */
export const createFenceTable = `CREATE TABLE IF NOT EXISTS lock_fences (
  lock_key VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  token BIGINT NOT NULL
)`

/**
 * Runs one statement in the open transaction and gives the `insertId` of its answer, which is what `LAST_INSERT_ID(…)`
 * in the statement was given: MySQL's way to read a value back from an INSERT or UPDATE in the same round trip.
 */
export type FenceStatement<A> = (sql: string, parameters: ReadonlyArray<string | number>) => A

const MAXIMUM_KEY_LENGTH = 512

/** A key that does not fit the column, or not every character set, is stored as its digest. */
const fenceKey = (key: string): string =>
  key.length <= MAXIMUM_KEY_LENGTH && /^[\x21-\x7e]+$/.test(key)
    ? key
    : `sha256:${createHash("sha256").update(key).digest("hex")}`

/**
 * Advances the fence of a key to the token, and gives the highest token it has seen: a greater one than the caller's
 * means that a later holder has been there. The row stays locked until the transaction ends, so transactions under one
 * fence follow one another whatever became of the lock.
 */
export const advanceFence = <A>(run: FenceStatement<A>, key: string, token: number): A =>
  run(
    `INSERT INTO lock_fences (lock_key, token) VALUES (?, LAST_INSERT_ID(?))
     ON DUPLICATE KEY UPDATE token = LAST_INSERT_ID(GREATEST(token, ?))`,
    [fenceKey(key), token, token]
  )

const DATABASE_MICROSECONDS = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"

/** For a holder without a token, while Redis is away: the database mints the next one by the same rule. */
export const mintAtFence = <A>(run: FenceStatement<A>, key: string): A =>
  run(
    `INSERT INTO lock_fences (lock_key, token) VALUES (?, LAST_INSERT_ID(${DATABASE_MICROSECONDS}))
     ON DUPLICATE KEY UPDATE token = LAST_INSERT_ID(GREATEST(token + 1, ${DATABASE_MICROSECONDS}))`,
    [fenceKey(key)]
  )

/**
 * Removes the fences that no transaction has advanced for `olderThanMs`, which must be far longer than any lease and any
 * transaction can last. At most `limit` rows go in one statement.
 */
export const pruneFences = <A>(run: FenceStatement<A>, olderThanMs: number, limit: number): A =>
  run(`DELETE FROM lock_fences WHERE token < ${DATABASE_MICROSECONDS} - ? LIMIT ?`, [
    olderThanMs * 1000,
    limit
  ])
