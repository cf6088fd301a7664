import { createHash } from "node:crypto"

/** SQL that creates the table of the fences: for each key, the highest token that a transaction has begun with. */
export const createFenceTable = `CREATE TABLE IF NOT EXISTS lock_fences (
  lock_key VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  token BIGINT NOT NULL
)`

/**
 * Runs one statement in the open transaction and gives the `insertId` of the result. `LAST_INSERT_ID(value)` in a
 * statement sets it, which is how MySQL reads a value back from an INSERT or UPDATE in the same round trip.
 */
export type FenceStatement<A> = (sql: string, parameters: ReadonlyArray<string | number>) => A

const MAXIMUM_KEY_LENGTH = 512

/** A key that does not fit the column or is not plain ASCII is stored as its digest. */
const fenceKey = (key: string): string =>
  key.length <= MAXIMUM_KEY_LENGTH && /^[\x21-\x7e]+$/.test(key)
    ? key
    : `sha256:${createHash("sha256").update(key).digest("hex")}`

/**
 * Advances the fence of a key to the token and gives the highest token it has seen. A greater one than the caller's
 * means that a later holder was first. The row stays locked until the transaction ends, so transactions under one fence
 * run one after another even when their lock failed.
 */
export const advanceFence = <A>(run: FenceStatement<A>, key: string, token: number): A =>
  run(
    `INSERT INTO lock_fences (lock_key, token) VALUES (?, LAST_INSERT_ID(?))
     ON DUPLICATE KEY UPDATE token = LAST_INSERT_ID(GREATEST(token, ?))`,
    [fenceKey(key), token, token]
  )

/** The token that a key of a fenced lock was acquired with. */
export interface FencingToken {
  readonly key: string
  readonly token: number
}

/**
 * Advances the fences of several keys in one statement and gives 0, or a token that is greater than the one for its key:
 * then a later holder was first, and {@link advanceFence} tells which. The rows are locked in the order of their keys.
 */
export const advanceFences = <A>(run: FenceStatement<A>, tokens: ReadonlyArray<FencingToken>): A => {
  const rows = tokens
    .map(({ key, token }) => [fenceKey(key), token] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return run(
    `INSERT INTO lock_fences (lock_key, token) VALUES ${rows.map(() => "(?, ?)").join(", ")}
     ON DUPLICATE KEY UPDATE token = IF(token > VALUES(token), LAST_INSERT_ID(token), VALUES(token))`,
    rows.flat()
  )
}

const DATABASE_MICROSECONDS = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"

/** Mints the next token at the fence, by the rule of Redis, for a holder without one. Gives that token. */
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
