import { createHash } from "node:crypto"
import { Effect, Redacted, type Scope } from "effect"
import { createPool, type Pool, type PoolConnection, type RowDataPacket } from "mysql2/promise"
import { call } from "../redis/call.ts"
import {
  type Lease,
  type LockBackend,
  LockBusy,
  type LockRequest,
  NotInTime,
  type Restore,
  StoreAway
} from "../backend.ts"

export interface NamedLocksOptions {
  /** `mysql://user:password@host:port/database`. */
  readonly url: Redacted.Redacted
  /** Each holder and each waiter keeps one, apart from the connections that do the work. Default 16. */
  readonly connections?: number
  /** Default 2,000. */
  readonly answerWithinMs?: number
}

const DEFAULT_CONNECTIONS = 16
const DEFAULT_ANSWER_WITHIN_MS = 2_000

/**
 * MySQL's named locks (`GET_LOCK`), for as long as Redis is away. A named lock belongs to a connection and ends with
 * it, so each keeps a connection of its own, from a pool of its own: from the pool of the transactions, holders could
 * take all connections and then wait for one. The pool connects when it is first needed.
 */
export const namedLocks = (options: NamedLocksOptions): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const uri = Redacted.value(options.url)
    const answerWithinMs = options.answerWithinMs ?? DEFAULT_ANSWER_WITHIN_MS
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => createPool({ uri, connectionLimit: options.connections ?? DEFAULT_CONNECTIONS })),
      (opened) => Effect.promise(() => opened.end().catch(() => {}))
    )
    const database = new URL(uri).pathname
    return {
      acquire: (request, restore) => acquire({ pool, database, answerWithinMs }, request, restore),
      ping: Effect.asVoid(call(() => pool.query("SELECT 1"), answerWithinMs)),
      list: () => Effect.succeed([])
    }
  })

interface NamedLocks {
  readonly pool: Pool
  readonly database: string
  readonly answerWithinMs: number
}

/** Names are global to the server, at most 64 characters, and compared without regard to case. */
const lockName = (database: string, key: string): string =>
  `holdfast:${createHash("sha256").update(`${database}:${key}`).digest("hex").slice(0, 48)}`

const acquire = (
  locks: NamedLocks,
  request: LockRequest,
  restore: Restore
): Effect.Effect<Lease, LockBusy | NotInTime | StoreAway> =>
  Effect.gen(function* () {
    const waitUntilMs = request.waitUntilMs ?? performance.now()
    const name = lockName(locks.database, request.key)
    const connection = yield* restore(
      connect(locks.pool, Math.max(waitUntilMs - performance.now(), locks.answerWithinMs))
    )
    // Destroying the connection is what ends a GET_LOCK that waits, and gives back one that was granted unheard.
    const taken = yield* restore(getLock(connection, name, waitUntilMs, locks.answerWithinMs)).pipe(
      Effect.onError(() => Effect.sync(() => connection.destroy()))
    )
    if (taken) return leaseOf(locks, request, connection, name)
    connection.release()
    return yield* request.waitUntilMs === undefined
      ? new LockBusy({ holder: null, leaseLeftMs: 0 })
      : new NotInTime({ holder: null, placeInLine: null })
  })

/** A connection that arrives after nobody waits for it any more goes back to the pool. */
const connect = (pool: Pool, withinMs: number): Effect.Effect<PoolConnection, StoreAway> =>
  Effect.callback((resume) => {
    let isWanted = true
    const giveUp = () => {
      isWanted = false
      clearTimeout(timer)
    }
    const fail = (cause: unknown) => {
      giveUp()
      resume(Effect.fail(new StoreAway({ everywhere: true, cause })))
    }
    const timer = setTimeout(() => fail(new Error("no connection is free")), withinMs)
    pool.getConnection().then((connection) => {
      if (!isWanted) return connection.release()
      giveUp()
      resume(Effect.succeed(connection))
    }, fail)
    return Effect.sync(giveUp)
  })

const getLock = (connection: PoolConnection, name: string, waitUntilMs: number, answerWithinMs: number) =>
  Effect.suspend(() => {
    const waitMs = Math.max(0, waitUntilMs - performance.now())
    return Effect.map(
      call(
        () =>
          connection.query<Array<RowDataPacket>>("SELECT GET_LOCK(?, ?) AS taken", [name, waitMs / 1_000]),
        waitMs + answerWithinMs
      ),
      ([rows]) => rows[0]?.["taken"] === 1
    )
  })

/** The lock lives as long as its connection. A look at it now and then tells whether both still do. */
const leaseOf = (
  locks: NamedLocks,
  request: LockRequest,
  connection: PoolConnection,
  name: string
): Lease => {
  let endsAtMs = performance.now() + request.leaseMs
  const renew = Effect.suspend(() => {
    const sentAtMs = performance.now()
    const asked = call(
      () =>
        connection.query<Array<RowDataPacket>>("SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS held", [name]),
      locks.answerWithinMs
    )
    return Effect.map(asked, ([rows]) => {
      if (rows[0]?.["held"] !== 1) return "lost" as const
      endsAtMs = sentAtMs + request.leaseMs
      return "renewed" as const
    })
  })
  const release = call(() => connection.query("DO RELEASE_LOCK(?)", [name]), locks.answerWithinMs).pipe(
    Effect.map(() => {
      connection.release()
      return { _tag: "Released", handedOver: false } as const
    }),
    Effect.catch(() =>
      Effect.sync(() => {
        connection.destroy()
        return { _tag: "Overrun", reason: "unconfirmed" } as const
      })
    )
  )
  const holder = `connection ${connection.threadId}`
  return { key: request.key, holder, token: undefined, endsAtMs: () => endsAtMs, renew, release }
}
