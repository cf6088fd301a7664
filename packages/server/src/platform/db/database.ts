import { Context, Effect, Layer, Metric, Redacted, Semaphore } from "effect"
import { ServiceUnavailable } from "@holdfast/domain"
import { makeStoreBreaker, mysqlOptionsOf, type StoreBreaker } from "@holdfast/locks"
import {
  type AbortableQueryOptions,
  type CompiledQuery,
  Kysely,
  MysqlDialect,
  type QueryResult
} from "kysely"
import type { PoolOptions } from "mysql2"
import { PlatformConfig, type PlatformSettings } from "../config.ts"
import { killConnection, makeWatch, type Watch } from "./control.ts"
import { traced } from "../telemetry/traces.ts"
import { guardedPool } from "./pool.ts"
import type { DB } from "./tables.ts"
import { DatabaseUnavailable, sqlErrorOf, type SqlError, UniqueViolation } from "./sql-errors.ts"

/** Requests that may wait for a connection at once; more are refused immediately. */
const MAXIMUM_WAITING = 5_000

/** The retry delay that a busy database suggests to its callers. */
export const BUSY_RETRY_AFTER_MS = 250

/** A new connection that is not up by then is given up. */
const CONNECT_WITHIN_MS = 2_000

/** How often slow statements are looked for. */
const WATCH_EVERY_MS = 500

/**
 * The database: Kysely over mysql2's pool. Every use goes through `connected`, which admits as many callers as there
 * are connections, so the driver's own queue stays empty. While the database is known to be away, nobody waits for it.
 */
export class Database extends Context.Service<
  Database,
  {
    readonly kysely: Kysely<DB>
    /**
     * Runs an effect that takes one connection. Fails with `ServiceUnavailable` when none is free in time, and at once
     * while the database is away.
     */
    readonly connected: <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ServiceUnavailable, R>
    /** Whether the database answers, as far as this process knows. */
    readonly isUp: () => boolean
    /** The connections of the pool, and how many callers wait for one. */
    readonly usage: () => { readonly idle: number; readonly inUse: number; readonly waiting: number }
  }
>()("@holdfast/server/Database") {
  static readonly layer: Layer.Layer<Database, never, PlatformConfig> = Layer.effect(
    Database,
    Effect.gen(function* () {
      const settings = yield* PlatformConfig
      const { ghosts, idle, pool, sessions } = guardedPool(poolOptions(settings), settings.databaseWaitMs)
      const watch = makeWatch(mysqlOptionsOf(Redacted.value(settings.mysqlUrl)), sessions, ghosts)
      const dialect = new MysqlDialect({ pool, controlConnection: () => killConnection(watch) })
      const kysely = yield* Effect.acquireRelease(
        Effect.sync(() => new Kysely<DB>({ dialect })),
        (db) => Effect.promise(() => db.destroy())
      )
      const look = Effect.tryPromise({
        try: watch.look,
        catch: (cause) => new DatabaseUnavailable({ cause })
      })
      const breaker = yield* makeStoreBreaker("the database", look)
      yield* Effect.forkScoped(watchOver(watch, look, breaker))
      const { connected, waiting } = yield* makeAdmission(settings, breaker)
      const usage = () => ({ idle: idle.size, inUse: sessions.size - idle.size, waiting: waiting() })
      return { kysely, isUp: breaker.isUp, connected, usage }
    })
  )
}

/** Looks after slow statements for ever. While the database is away there is nobody to ask about them. */
const watchOver = (
  watch: Watch,
  look: Effect.Effect<void, DatabaseUnavailable>,
  { isUp, trip }: StoreBreaker<DatabaseUnavailable>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!isUp()) return Effect.sync(watch.destroySlow)
    return watch.hasReason() ? look.pipe(Effect.catch(trip)) : Effect.void
  }).pipe(Effect.andThen(Effect.sleep(WATCH_EVERY_MS)), Effect.forever)

const poolOptions = (settings: PlatformSettings): PoolOptions => ({
  ...mysqlOptionsOf(Redacted.value(settings.mysqlUrl)),
  connectionLimit: settings.databaseConnections,
  maxIdle: settings.databaseConnections,
  queueLimit: MAXIMUM_WAITING,
  connectTimeout: CONNECT_WITHIN_MS,
  charset: "utf8mb4",
  timezone: "Z",
  supportBigNumbers: true,
  bigNumberStrings: false,
  enableKeepAlive: true
})

const makeAdmission = Effect.fnUntraced(function* (
  settings: PlatformSettings,
  breaker: StoreBreaker<DatabaseUnavailable>
) {
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
  const unlessAway = breaker.check.pipe(Effect.catch(() => busy))
  const tripOn = (error: unknown) =>
    error instanceof DatabaseUnavailable && error.everywhere ? breaker.trip(error) : Effect.void
  // Asked again after the wait: the database may have gone away meanwhile.
  const connected = <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E | ServiceUnavailable, R> =>
    Effect.uninterruptibleMask((restore) =>
      restore(Effect.andThen(unlessAway, admit)).pipe(
        Effect.flatMap(() =>
          restore(Effect.andThen(unlessAway, use)).pipe(
            Effect.tapError(tripOn),
            Effect.ensuring(connections.release(1))
          )
        )
      )
    )
  return { connected, waiting: () => waiting }
})

/** How a statement is run: interruption cancels it on the server as well. */
export type StatementOptions = AbortableQueryOptions

/** From which duration on a statement is logged. */
export const SlowStatementMs = Context.Reference<number>("@holdfast/server/SlowStatementMs", {
  defaultValue: () => Number.POSITIVE_INFINITY
})

const slowStatements = Metric.counter("holdfast_slow_statements_total", {
  description: "Statements that took longer than HOLDFAST_SLOW_STATEMENT",
  incremental: true
})

/** Runs a query that was built, and logs its text, which has no parameters, when it took long. */
export const runQuery = <Row>(
  executor: Kysely<DB>,
  query: CompiledQuery<Row>
): Effect.Effect<QueryResult<Row>, SqlError> =>
  Effect.withFiber((fiber) => {
    const startedAtMs = performance.now()
    const slowMs = fiber.getRef(SlowStatementMs)
    return Effect.onExit(
      statement((options) => executor.executeQuery(query, options)).pipe(
        traced("sql", { "db.query.text": query.sql })
      ),
      () => {
        const tookMs = Math.round(performance.now() - startedAtMs)
        if (tookMs < slowMs) return Effect.void
        return Effect.andThen(
          Metric.update(slowStatements, 1),
          Effect.logWarning("a statement was slow", { tookMs, sql: query.sql })
        )
      }
    )
  })

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
    connected(Effect.suspend(() => runQuery(kysely, build(kysely).compile(kysely)))).pipe(unavailableOrBug)
  )

/** Statements outside of any transaction, each on a connection of its own. All fail with `ServiceUnavailable`. */
export const db = {
  /** Every row. */
  rows: <Row>(build: (db: Kysely<DB>) => Query<Row>) => Effect.map(runOnPool(build), ({ rows }) => rows),
  /** The first row, or `undefined`. */
  first: <Row>(
    build: (db: Kysely<DB>) => Query<Row>
  ): Effect.Effect<Row | undefined, ServiceUnavailable, Database> =>
    Effect.map(runOnPool(build), ({ rows }) => rows[0]),
  /** How many rows a statement has changed, that commits by itself. */
  affected: (
    build: (db: Kysely<DB>) => Query<unknown>
  ): Effect.Effect<number, ServiceUnavailable, Database> =>
    Effect.map(runOnPool(build), ({ numAffectedRows }) => Number(numAffectedRows ?? 0))
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
