import { Data } from "effect"

/** The database refused a row because a unique key has it already. Features turn it into an error of the domain. */
export class UniqueViolation extends Data.TaggedError("UniqueViolation")<{ readonly constraint: string }> {}

/** Two transactions were in each other's way; the database chose this one to start over. */
export class WriteConflict extends Data.TaggedError("WriteConflict")<{ readonly errno: number }> {}

/** The database cannot be reached, or cannot serve this statement at present. */
export class DatabaseUnavailable extends Data.TaggedError("DatabaseUnavailable")<{
  readonly cause: unknown
}> {
  /** `true`: nobody reaches the database. `false`: this connection or this statement was in trouble. */
  readonly everywhere = this.cause instanceof Unreachable
}

/** What any statement may end in. Everything else is a bug of ours, and dies as such. */
export type SqlError = UniqueViolation | WriteConflict | DatabaseUnavailable

/** No connection to the database can be made. */
export class Unreachable extends Error {
  readonly fatal = true
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = "Unreachable"
  }
}

/** The server said nothing for too long, so the connection was given up. */
export class NoAnswer extends Error {
  readonly fatal = true
  constructor(waitedMs: number) {
    super(`no answer within ${waitedMs} ms`)
    this.name = "NoAnswer"
  }
}

/**
 * MySQL's and MariaDB's error numbers, the only part of an error that both servers and every driver version agree on
 * (https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html,
 * https://mariadb.com/kb/en/mariadb-error-code-reference/).
 */
export const DUPLICATE_ENTRY = 1062

/** Concurrent transactions met; nothing of this one stays, so it starts over. */
const WRITE_CONFLICTS = new Set([
  1213, // deadlock, also a failed certification of Galera: everything was rolled back
  1205, // lock wait timeout: only the statement was rolled back
  1020, // record has changed since it was read (MariaDB's snapshot isolation)
  1412, // the table's definition has changed since the transaction began
  1613, // a branch of a transaction was rolled back: it took too long
  1614, // a branch of a transaction was rolled back: deadlock
  1689, // the wait for a lock was aborted by an exclusive one
  3101, // group replication rolled back at COMMIT, because another member was first
  3572 // NOWAIT
])

/** An operator, a limit or a fault of the server; the same statement can succeed later. */
const UNAVAILABLE = new Set([
  3, // error writing a file
  5, // out of memory
  20, // disk full
  23, // out of file handles
  1015, // cannot lock a file
  1016, // cannot open a file
  1021, // disk full
  1023, // error closing a file
  1024, // error reading a file
  1026, // error writing a file
  1028, // sort aborted
  1030, // error of the storage engine, such as a full disk
  1036, // table is read-only
  1037, // out of memory
  1038, // out of sort memory
  1040, // too many connections
  1041, // out of memory
  1042, // host name lookup failed
  1043, // bad handshake
  1045, // access denied: the password was changed
  1047, // unknown command: a Galera node that is not ready
  1053, // server shutdown in progress
  1077, // normal shutdown
  1078, // got a signal
  1079, // shutdown complete
  1114, // table is full
  1129, // host is blocked
  1130, // host is not allowed
  1135, // cannot create a thread
  1152, // aborted connection
  1154, // read error from the pipe
  1155, // fcntl error
  1156, // packets out of order
  1157, // cannot uncompress a packet
  1158, // read error
  1159, // read timeout
  1160, // write error
  1161, // write timeout
  1180, // error during COMMIT
  1181, // error during ROLLBACK
  1184, // aborted connection
  1203, // too many user connections
  1206, // lock table is full
  1223, // conflicting read lock
  1226, // user's resource limit
  1290, // read-only server
  1317, // interrupted by KILL QUERY
  1461, // too many prepared statements
  1467, // no auto-increment value
  1598, // the binary log cannot be written
  1637, // too many concurrent transactions
  1698, // access denied
  1705, // statement cache is full
  1792, // read-only transaction: the server's default was changed
  1811, // I/O write error
  1820, // the password must be changed
  1836, // read-only mode
  1862, // the password has expired
  1874, // InnoDB is read-only
  1878, // temporary file cannot be written
  1898, // in neither server's reference; taken as transient
  1927, // connection was killed (MariaDB)
  1931, // interrupted: the query exceeded a limit (MariaDB)
  1969, // max_statement_time exceeded (MariaDB)
  2006, // server has gone away
  2013, // connection lost during the query
  3015, // storage engine is out of memory
  3019, // undo log is full
  3024, // max_execution_time exceeded
  3032, // offline mode
  3098, // group replication refuses the table at present
  3100, // group replication: a hook failed
  3118, // the account is locked
  3168, // server is not available
  3169, // session was killed
  3170, // memory capacity exceeded
  3186, // memory capacity of the parser exceeded
  3675, // disk full
  3782, // group replication: killed while on hold
  3781, // group replication: a wait timed out
  3955, // the account is blocked by wrong passwords
  3985, // metadata locks are out of resources
  3989, // schema is read-only
  4031, // disconnected because of inactivity
  4081, // the global memory limit of connections
  4082, // the memory limit of a connection
  4151 // the account is locked (MariaDB)
])

/** A server that cannot write any more; the address may lead to another one by now. */
const READ_ONLY = new Set([1290, 1792, 1836, 1874, 3032])

const errnoOf = (cause: unknown): number | undefined => {
  const errno = (cause as { readonly errno?: unknown } | undefined | null)?.errno
  return typeof errno === "number" ? errno : undefined
}

/** Sorts an error of the driver. `undefined`: it is none of these, so it is a defect. */
export const sqlErrorOf = (cause: unknown): SqlError | undefined => {
  if (!(cause instanceof Error)) return undefined
  const errno = errnoOf(cause)
  if (errno === DUPLICATE_ENTRY) return new UniqueViolation({ constraint: constraintOf(cause.message) })
  if (errno !== undefined && WRITE_CONFLICTS.has(errno)) return new WriteConflict({ errno })
  if (errno !== undefined && UNAVAILABLE.has(errno)) return new DatabaseUnavailable({ cause })
  return isConnectionFailure(cause) || isRefusedByPool(cause) ? new DatabaseUnavailable({ cause }) : undefined
}

/** Whether an error is an answer of the server. */
export const isReply = (error: unknown): boolean => (errnoOf(error) ?? 0) > 0

/** Network errors have negative numbers (libuv's); the driver's own (a lost or closed connection) are fatal. */
export const isConnectionFailure = (error: unknown): boolean =>
  !isReply(error) &&
  ((error as { readonly fatal?: unknown } | undefined)?.fatal === true || (errnoOf(error) ?? 0) < 0)

/** Whether a connection is better replaced: its server has become a replica, so the address may lead elsewhere. */
export const connectionLeadsNowhere = (error: unknown): boolean => READ_ONLY.has(errnoOf(error) ?? 0)

/** `Duplicate entry 'x' for key 'users.users_email'`: MySQL names the table too, MariaDB does not. */
const constraintOf = (message: string): string =>
  /for key '(?:[^']*\.)?([^'.]+)'$/.exec(message)?.[1] ?? "unknown"

/** The driver reports these without a number. */
const isRefusedByPool = (error: Error): boolean =>
  /connection is in closed state|Connection lost|Pool is closed|No connections available|Queue limit reached/i.test(
    error.message
  )
