import { Data } from "effect"

/** The database refused a row because a unique key has it already. Features turn it into an error of the domain. */
export class UniqueViolation extends Data.TaggedError("UniqueViolation")<{ readonly constraint: string }> {}

/** Two transactions were in each other's way; the database chose this one to start over. */
export class WriteConflict extends Data.TaggedError("WriteConflict")<{ readonly errno: number }> {}

/** The database cannot be reached, is shutting down, or has no connection left. */
export class DatabaseUnavailable extends Data.TaggedError("DatabaseUnavailable")<{
  readonly cause: unknown
}> {}

/** What any statement may end in. Everything else is a bug of ours, and dies as such. */
export type SqlError = UniqueViolation | WriteConflict | DatabaseUnavailable

/**
 * MySQL's and MariaDB's error numbers, the only part of an error that both servers and every driver version agree on
 * (https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html,
 * https://mariadb.com/kb/en/mariadb-error-code-reference/).
 */
export const DUPLICATE_ENTRY = 1062
const WRITE_CONFLICTS = new Set([
  1213, // deadlock: everything was rolled back
  1205, // lock wait timeout: only the statement was rolled back
  1020, // record has changed since it was read (MariaDB's snapshot isolation)
  3572 // NOWAIT
])
const UNAVAILABLE = new Set([
  1040, // too many connections
  1053, // server shutdown in progress
  1077, // normal shutdown
  1079, // shutdown complete
  1129, // host is blocked
  1159, // read timeout
  1161, // write timeout
  1203, // too many user connections
  1226, // user's resource limit
  1290, // read-only server
  1836, // read-only mode
  1927, // connection was killed (MariaDB)
  4031 // disconnected because of inactivity
])

/** Sorts an error of the driver. `undefined`: it is none of these, so it is a defect. */
export const sqlErrorOf = (cause: unknown): SqlError | undefined => {
  if (!(cause instanceof Error)) return undefined
  const { errno, fatal } = cause as { readonly errno?: unknown; readonly fatal?: unknown } & Error
  if (errno === DUPLICATE_ENTRY) return new UniqueViolation({ constraint: constraintOf(cause.message) })
  if (typeof errno === "number" && WRITE_CONFLICTS.has(errno)) return new WriteConflict({ errno })
  if (typeof errno === "number" && UNAVAILABLE.has(errno)) return new DatabaseUnavailable({ cause })
  // Network errors have negative numbers (libuv's); the driver's own (lost connection, closed pool) are fatal ones.
  if (fatal === true || (typeof errno === "number" && errno < 0) || connectionIsGone(cause)) {
    return new DatabaseUnavailable({ cause })
  }
  return undefined
}

/** `Duplicate entry 'x' for key 'users.users_email'`: MySQL names the table too, MariaDB does not. */
const constraintOf = (message: string): string =>
  /for key '(?:[^']*\.)?([^'.]+)'$/.exec(message)?.[1] ?? "unknown"

/** The driver reports these without a number. */
const connectionIsGone = (error: Error): boolean =>
  /connection is in closed state|Connection lost|Pool is closed|No connections available|Queue limit reached/i.test(
    error.message
  )
