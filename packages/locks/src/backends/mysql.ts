import { createHash } from "node:crypto"
import type { Socket } from "node:net"
import { setTimeout } from "node:timers/promises"
import { Effect, Redacted, type Scope } from "effect"
import { createPool, type PoolConnection, type PoolOptions, type RowDataPacket } from "mysql2/promise"
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
  /** Whether the database answers, as far as the program knows; while it does not, nobody waits for a lock. Default: always. */
  readonly isUp?: () => boolean
}

const DEFAULT_CONNECTIONS = 16

/** Callers that may wait for a connection at once; more are refused immediately. */
const MAXIMUM_WAITING = 5_000

/** A connection that was idle for longer has to answer a ping before it is used. */
const TRUSTED_MS = 1_000
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
    const isUp = options.isUp ?? (() => true)
    const connections = yield* Effect.acquireRelease(
      Effect.sync(() => openPool(address, options.connections ?? DEFAULT_CONNECTIONS, answerWithinMs)),
      ({ end }) => Effect.promise(end)
    )
    const database = `/${address.database ?? ""}`
    const locks: NamedLocks = { get: connections.get, database, answerWithinMs }
    return {
      acquire: (request, restore) =>
        Effect.suspend(() =>
          isUp()
            ? acquire(locks, request, restore)
            : Effect.fail(unavailable(new Error("the database is away")))
        ),
      isUp,
      list: () => Effect.succeed([])
    }
  })

interface NamedLocks {
  readonly get: () => Promise<PoolConnection>
  readonly database: string
  readonly answerWithinMs: number
}

/** Names are global to the server, at most 64 characters long, and compared without regard to case. */
const lockName = (database: string, key: string): string =>
  `holdfast:${createHash("sha256").update(`${database}:${key}`).digest("hex").slice(0, 48)}`

const unavailable = (cause: unknown) => new NamedLocksUnavailable({ cause })

/** A pool that hands out only connections that answer. */
const openPool = (address: PoolOptions, connectionLimit: number, answerWithinMs: number) => {
  const pool = createPool({
    ...address,
    connectionLimit,
    connectTimeout: answerWithinMs,
    queueLimit: MAXIMUM_WAITING
  })
  /** Since when each connection is idle. */
  const idle = new Map<PoolConnection["connection"], number>()
  pool.on("release", (connection) => void idle.set(connection, performance.now()))

  /** One connection that does not answer takes along all that were idle as long. */
  const answers = async (connection: PoolConnection, idleSinceMs: number): Promise<boolean> => {
    if (performance.now() - idleSinceMs < TRUSTED_MS) return true
    const timeLimit = AbortSignal.timeout(TRUSTED_MS)
    const late = new Promise<false>((resolve) => timeLimit.addEventListener("abort", () => resolve(false)))
    if (await Promise.race([late, connection.ping().then(Boolean, () => false)])) return true
    for (const [other, sinceMs] of idle) if (performance.now() - sinceMs >= TRUSTED_MS) destroy(other)
    return false
  }
  const get = async (): Promise<PoolConnection> => {
    for (;;) {
      const connection = await pool.getConnection()
      const idleSinceMs = idle.get(connection.connection) ?? performance.now()
      idle.delete(connection.connection)
      if (await answers(connection, idleSinceMs)) return connection
      destroy(connection.connection)
    }
  }
  // Idle connections only: the holders' are given back or destroyed with their locks.
  const end = async () => {
    for (const connection of idle.keys()) destroy(connection)
    await Promise.race([pool.end().catch(() => {}), setTimeout(answerWithinMs, undefined, { ref: false })])
  }
  return { get, end }
}

/** Closes the socket too: the driver only sends a FIN, which a silent peer never answers. */
const destroy = (connection: PoolConnection["connection"]): void => {
  connection.destroy()
  ;(connection as unknown as { readonly stream: Socket }).stream.destroy()
}

const acquire = (
  locks: NamedLocks,
  request: LockRequest,
  restore: Restore
): Effect.Effect<Lease, LockBusy | LockWaitTimeout | NamedLocksUnavailable> =>
  Effect.gen(function* () {
    const waitUntilMs = request.waitUntilMs ?? performance.now()
    const name = lockName(locks.database, request.key)
    const connection = yield* restore(
      connect(locks.get, Math.max(waitUntilMs - performance.now(), locks.answerWithinMs))
    )
    // Destroying the connection ends a GET_LOCK that waits and gives back one whose grant was not heard.
    const isAcquired = yield* restore(
      Effect.andThen(
        endWithLease(connection, request.leaseMs, locks.answerWithinMs),
        getLock(connection, name, waitUntilMs, locks.answerWithinMs)
      )
    ).pipe(Effect.onError(() => Effect.sync(() => destroy(connection.connection))))
    if (isAcquired) return leaseOf(locks, request, connection, name)
    connection.release()
    return yield* request.waitUntilMs === undefined
      ? new LockBusy({ holder: null, leaseLeftMs: 0 })
      : new LockWaitTimeout({ holder: null, placeInLine: null })
  })

/** A connection that arrives after its caller has given up goes back to the pool. */
const connect = (
  get: NamedLocks["get"],
  withinMs: number
): Effect.Effect<PoolConnection, NamedLocksUnavailable> =>
  Effect.suspend(() => {
    const connecting = get()
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

/** Makes the server end a session that no renewal reaches any more, and its lock with it. */
const endWithLease = (connection: PoolConnection, leaseMs: number, answerWithinMs: number) =>
  answerWithin(
    () => connection.query("SET SESSION wait_timeout = ?", [Math.ceil(leaseMs / 1_000) + 1]),
    answerWithinMs,
    unavailable
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
    abandon: Effect.sync(() => destroy(connection.connection))
  })
