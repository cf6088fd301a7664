import { Context, Effect, Layer, Redacted, Semaphore } from "effect"
import { ServiceUnavailable } from "@holdfast/domain"
import { mysqlOptionsOf } from "@holdfast/locks"
import { type AbortableQueryOptions, CompiledQuery, Kysely, MysqlDialect, type QueryResult } from "kysely"
import { createConnection, type PoolOptions } from "mysql2"
import { PlatformConfig, type PlatformSettings } from "../config.ts"
import { guardedPool } from "./pool.ts"
import type { DB } from "./tables.ts"
import { DatabaseUnavailable, sqlErrorOf, type SqlError, UniqueViolation } from "./sql-errors.ts"

/** Requests that may wait for a connection at once; more are refused immediately. */
const MAXIMUM_WAITING = 5_000

/** The retry delay that a busy database suggests to its callers. */
export const BUSY_RETRY_AFTER_MS = 250

/**
 * The database: Kysely over mysql2's pool. Every use goes through `connected`, which admits as many callers as there
 * are connections, so the driver's own, unbounded queue stays empty.
 */
export class Database extends Context.Service<
  Database,
  {
    readonly kysely: Kysely<DB>
    /** Runs an effect that takes one connection. Fails with `ServiceUnavailable` when none is free in time. */
    readonly connected: <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ServiceUnavailable, R>
  }
>()("@holdfast/server/Database") {
  static readonly layer: Layer.Layer<Database, never, PlatformConfig> = Layer.effect(
    Database,
    Effect.gen(function* () {
      const settings = yield* PlatformConfig
      const kysely = yield* Effect.acquireRelease(
        Effect.sync(() => makeKysely(settings)),
        (db) => Effect.promise(() => db.destroy())
      )
      return { kysely, connected: yield* makeAdmission(settings) }
    })
  )
}

const makeKysely = (settings: PlatformSettings): Kysely<DB> =>
  new Kysely<DB>({
    dialect: new MysqlDialect({
      pool: guardedPool(poolOptions(settings)),
      // Cancels the statement of an interrupted request on a connection of its own.
      controlConnection: createConnection,
      onCreateConnection: async (connection) => {
        for (const statement of sessionStatements) await connection.executeQuery(CompiledQuery.raw(statement))
      }
    })
  })

const poolOptions = (settings: PlatformSettings): PoolOptions => ({
  ...mysqlOptionsOf(Redacted.value(settings.mysqlUrl)),
  connectionLimit: settings.databaseConnections,
  maxIdle: settings.databaseConnections,
  queueLimit: MAXIMUM_WAITING,
  connectTimeout: settings.databaseWaitMs,
  charset: "utf8mb4",
  timezone: "Z",
  supportBigNumbers: true,
  bigNumberStrings: false,
  enableKeepAlive: true
})

/**
 * READ COMMITTED: at REPEATABLE READ the first plain SELECT fixes the snapshot, and a transaction that waited for a row
 * would decide on outdated data. Strict mode refuses values that do not fit instead of truncating them.
 */
const sessionStatements = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE', time_zone = '+00:00', innodb_lock_wait_timeout = 5"
]

const makeAdmission = Effect.fnUntraced(function* (settings: PlatformSettings) {
  const connections = yield* Semaphore.make(settings.databaseConnections)
  let waiting = 0
  const busy = Effect.fail(new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS }))
  const admit = Effect.suspend(() => {
    if (waiting >= MAXIMUM_WAITING) return busy
    waiting += 1
    return connections
      .take(1)
      .pipe(
        Effect.timeoutOrElse({ duration: settings.databaseWaitMs, orElse: () => busy }),
        Effect.ensuring(Effect.sync(() => void (waiting -= 1)))
      )
  })
  return <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E | ServiceUnavailable, R> =>
    Effect.uninterruptibleMask((restore) =>
      restore(admit).pipe(Effect.flatMap(() => restore(use).pipe(Effect.ensuring(connections.release(1)))))
    )
})

/** How a statement is run: interruption cancels it on the server as well. */
export type StatementOptions = AbortableQueryOptions

/** Runs statements; what the driver throws becomes a {@link SqlError}, and what is none of them a defect. */
export const statement = <A>(run: (options: StatementOptions) => Promise<A>): Effect.Effect<A, SqlError> =>
  Effect.tryPromise({
    try: (signal) => run({ signal, inflightQueryAbortStrategy: "cancel query" }),
    catch: (cause) => sqlErrorOf(cause) ?? new UnexpectedSqlError(cause)
  }).pipe(
    Effect.catch((error) =>
      error instanceof UnexpectedSqlError ? Effect.die(error.cause) : Effect.fail(error)
    )
  )

class UnexpectedSqlError {
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** A query that Kysely has built, or a `sql` template. */
export interface Query<Row> {
  readonly compile: (executor: Kysely<DB>) => CompiledQuery<Row>
}

const runOnPool = <Row>(
  build: (db: Kysely<DB>) => Query<Row>
): Effect.Effect<QueryResult<Row>, ServiceUnavailable, Database> =>
  Effect.flatMap(Database, ({ connected, kysely }) =>
    connected(statement((options) => kysely.executeQuery(build(kysely).compile(kysely), options))).pipe(
      unavailableOrBug
    )
  )

/** Statements outside of any transaction, each on a connection of its own. All fail with `ServiceUnavailable`. */
export const db = {
  /** Every row. */
  rows: <Row>(build: (db: Kysely<DB>) => Query<Row>) => Effect.map(runOnPool(build), ({ rows }) => rows),
  /** The first row, or `undefined`. */
  first: <Row>(
    build: (db: Kysely<DB>) => Query<Row>
  ): Effect.Effect<Row | undefined, ServiceUnavailable, Database> =>
    Effect.map(runOnPool(build), ({ rows }) => rows[0])
}

/** Outside of a transaction a unique violation is a bug, and a conflict only means that the database is busy. */
const unavailableOrBug = <A, R>(
  effect: Effect.Effect<A, SqlError | ServiceUnavailable, R>
): Effect.Effect<A, ServiceUnavailable, R> =>
  effect.pipe(
    Effect.catchTags({
      UniqueViolation: (error: UniqueViolation) => Effect.die(error),
      WriteConflict: () => Effect.fail(new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS })),
      DatabaseUnavailable: (error: DatabaseUnavailable) => unavailable(error)
    })
  )

/** Says to the log what the caller must not see. */
export const unavailable = (error: DatabaseUnavailable): Effect.Effect<never, ServiceUnavailable> =>
  Effect.logWarning("the database is unavailable", error.cause).pipe(
    Effect.andThen(Effect.fail(new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS })))
  )
