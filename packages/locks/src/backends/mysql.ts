import { createHash } from "node:crypto"
import { Effect, Redacted, type Scope } from "effect"
import { createPool, type Pool, type PoolConnection, type RowDataPacket } from "mysql2/promise"
import { mysqlOptionsOf } from "../addresses/mysql.ts"
import { answerWithin } from "../answer-within.ts"
import {
  type BackendOptions,
  type Lease,
  type LockBackend,
  LockBusy,
  type LockRequest,
  LockWaitTimeout,
  NamedLocksUnavailable,
  type Restore
} from "../backend.ts"
import { makeLease } from "../lease.ts"

/** Where the named locks are, and how many connections they may take. */
export interface NamedLocksOptions extends BackendOptions {
  /** `mysql://user:password@host:port/database`, as {@link mysqlOptionsOf} reads it. */
  readonly url: Redacted.Redacted
  /** Each holder and each waiter uses one, apart from the connections that do the work. Default 16. */
  readonly connections?: number
}

const DEFAULT_CONNECTIONS = 16
const DEFAULT_ANSWER_WITHIN_MS = 2_000

/**
 * MySQL's named locks (`GET_LOCK`), for as long as Redis is away. A named lock belongs to a connection and ends with
 * it, so each has its own connection from a separate pool: with the pool of the transactions, holders could take every
 * connection and then wait for one. The pool connects on first use.
 */
export const namedLocks = (options: NamedLocksOptions): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const address = mysqlOptionsOf(Redacted.value(options.url))
    const answerWithinMs = options.answerWithinMs ?? DEFAULT_ANSWER_WITHIN_MS
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createPool({ ...address, connectionLimit: options.connections ?? DEFAULT_CONNECTIONS })
      ),
      (opened) => Effect.promise(() => opened.end().catch(() => {}))
    )
    const database = `/${address.database ?? ""}`
    return {
      acquire: (request, restore) => acquire({ pool, database, answerWithinMs }, request, restore),
      isUp: () => true,
      list: () => Effect.succeed([])
    }
  })

interface NamedLocks {
  readonly pool: Pool
  readonly database: string
  readonly answerWithinMs: number
}

/** Names are global to the server, at most 64 characters long, and compared without regard to case. */
const lockName = (database: string, key: string): string =>
  `holdfast:${createHash("sha256").update(`${database}:${key}`).digest("hex").slice(0, 48)}`

const unavailable = (cause: unknown) => new NamedLocksUnavailable({ cause })

const acquire = (
  locks: NamedLocks,
  request: LockRequest,
  restore: Restore
): Effect.Effect<Lease, LockBusy | LockWaitTimeout | NamedLocksUnavailable> =>
  Effect.gen(function* () {
    const waitUntilMs = request.waitUntilMs ?? performance.now()
    const name = lockName(locks.database, request.key)
    const connection = yield* restore(
      connect(locks.pool, Math.max(waitUntilMs - performance.now(), locks.answerWithinMs))
    )
    // Destroying the connection ends a GET_LOCK that waits and gives back one whose grant was not heard.
    const isAcquired = yield* restore(getLock(connection, name, waitUntilMs, locks.answerWithinMs)).pipe(
      Effect.onError(() => Effect.sync(() => connection.destroy()))
    )
    if (isAcquired) return leaseOf(locks, request, connection, name)
    connection.release()
    return yield* request.waitUntilMs === undefined
      ? new LockBusy({ holder: null, leaseLeftMs: 0 })
      : new LockWaitTimeout({ holder: null, placeInLine: null })
  })

/** A connection that arrives after its caller has given up goes back to the pool. */
const connect = (pool: Pool, withinMs: number): Effect.Effect<PoolConnection, NamedLocksUnavailable> =>
  Effect.suspend(() => {
    const connecting = pool.getConnection()
    const returnLate = () => void connecting.then((connection) => connection.release()).catch(() => {})
    return answerWithin(() => connecting, withinMs, unavailable).pipe(
      Effect.onError(() => Effect.sync(returnLate))
    )
  })

/** The value of the one column of a statement's one row. */
const queryOne = (
  connection: PoolConnection,
  sql: string,
  parameters: ReadonlyArray<string | number>,
  withinMs: number
): Effect.Effect<unknown, NamedLocksUnavailable> =>
  Effect.map(
    answerWithin(() => connection.query<Array<RowDataPacket>>(sql, [...parameters]), withinMs, unavailable),
    ([rows]) => rows[0]?.["value"]
  )

const getLock = (connection: PoolConnection, name: string, waitUntilMs: number, answerWithinMs: number) =>
  Effect.suspend(() => {
    const waitMs = Math.max(0, waitUntilMs - performance.now())
    const parameters = [name, waitMs / 1_000]
    return Effect.map(
      queryOne(connection, "SELECT GET_LOCK(?, ?) AS value", parameters, waitMs + answerWithinMs),
      (value) => value === 1
    )
  })

/** The lock lives as long as its connection, so a renewal only asks whether both still do. */
const leaseOf = (
  { answerWithinMs }: NamedLocks,
  { key, leaseMs }: LockRequest,
  connection: PoolConnection,
  name: string
): Lease =>
  makeLease({
    key,
    holder: `connection ${connection.threadId}`,
    endsAtMs: performance.now() + leaseMs,
    renewedForMs: leaseMs,
    renew: Effect.map(
      queryOne(connection, "SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS value", [name], answerWithinMs),
      (value) => value === 1
    ),
    release: () =>
      Effect.map(queryOne(connection, "SELECT RELEASE_LOCK(?) AS value", [name], answerWithinMs), () => {
        connection.release()
        return { _tag: "Released", handedOver: false }
      }),
    abandon: Effect.sync(() => connection.destroy())
  })
