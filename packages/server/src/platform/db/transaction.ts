import { ServiceUnavailable } from "@holdfast/domain"
import { Context, Effect, Layer, Schedule } from "effect"
import { CompiledQuery, type ControlledTransaction, type QueryResult, sql } from "kysely"
import type { LockFree } from "@holdfast/locks"
import { makeInTransaction, type TransactionBackend } from "@holdfast/locks"
import { BUSY_RETRY_AFTER_MS, Database, type Query, runQuery, statement, unavailable } from "./database.ts"
import { traced } from "../telemetry/traces.ts"
import type { DB } from "./tables.ts"
import {
  DatabaseUnavailable,
  DUPLICATE_ENTRY,
  type SqlError,
  type UniqueViolation,
  WriteConflict
} from "./sql-errors.ts"

/** The open transaction. Only {@link inTransaction} provides it. */
export class Tx extends Context.Service<Tx, ControlledTransaction<DB>>()("@holdfast/server/Tx") {}

/** How often a transaction starts over after a write conflict; jittered, to avoid lockstep. */
const CONFLICT_RETRIES = 3
const conflictBackoff = Schedule.exponential("10 millis").pipe(Schedule.jittered)

/** How long a caller waits for its ROLLBACK, which then continues in the background. */
const ROLLBACK_WAIT_MS = 2_000

/**
 * Opens transactions. It stays in the requirements of every effect that opens one, so nested transactions do not
 * compile.
 */
export class Transactions extends Context.Service<
  Transactions,
  TransactionBackend<ControlledTransaction<DB>, WriteConflict | DatabaseUnavailable>
>()("@holdfast/server/Transactions") {
  static readonly layer: Layer.Layer<Transactions, never, Database> = Layer.effect(
    Transactions,
    Effect.map(Database, (database) => ({
      begin: Effect.provideService(begin, Database, database),
      commit,
      rollback,
      fence: fenceStatement
    }))
  )
}

/**
 * Runs the body in one transaction: commits when it succeeds, rolls back when it fails or is interrupted. A deadlock
 * (1213) or a lock wait timeout (1205) starts the whole body over, up to three times, so the body does nothing but SQL.
 * If the connection is lost at COMMIT, the outcome is unknown: the caller gets `ServiceUnavailable`, and the repeated
 * request finds the answer by its idempotency key.
 *
 * A body that takes a lock or opens another transaction does not compile: locks come first, see `withLock`.
 */
export const inTransaction = <A, E, R>(
  body: Effect.Effect<A, E, R> & LockFree<R, Transactions>
): Effect.Effect<
  A,
  Exclude<E, WriteConflict | DatabaseUnavailable> | ServiceUnavailable,
  Exclude<R, Tx> | Database | Transactions
> =>
  Effect.gen(function* () {
    const { connected } = yield* Database
    return yield* connected(attempt(body)).pipe(
      traced("transaction"),
      Effect.retry({
        while: (error) => error instanceof WriteConflict,
        times: CONFLICT_RETRIES,
        schedule: conflictBackoff
      }),
      Effect.catch((error) => {
        if (error instanceof WriteConflict) {
          return Effect.fail(new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS }))
        }
        if (error instanceof DatabaseUnavailable) return unavailable(error)
        return Effect.fail(error as Exclude<typeof error, WriteConflict | DatabaseUnavailable>)
      })
    )
  })

const attempt = makeInTransaction(Tx, Transactions)

/** What is to be done once an open transaction has committed. */
const afterCommit = new WeakMap<ControlledTransaction<DB>, Array<() => void>>()

/** After a failed COMMIT the ROLLBACK returns the connection to the pool, which closes it. */
const commit = (tx: ControlledTransaction<DB>): Effect.Effect<void, WriteConflict | DatabaseUnavailable> =>
  statement(() => tx.commit().execute()).pipe(
    Effect.tapError(() => rollback(tx)),
    Effect.catchTag("UniqueViolation", Effect.die),
    Effect.andThen(Effect.sync(() => afterCommit.get(tx)?.forEach((act) => act())))
  )

/** Interrupted while it waits for a connection, it rolls back as soon as the connection arrives. */
const begin = Effect.gen(function* () {
  const { kysely } = yield* Database
  return yield* Effect.callback<ControlledTransaction<DB>, WriteConflict | DatabaseUnavailable>((resume) => {
    const started = kysely.startTransaction().execute()
    const outcome = statement(() => started).pipe(Effect.catchTag("UniqueViolation", Effect.die))
    const settle = () => resume(outcome)
    started.then(settle, settle)
    return Effect.sync(() => void started.then((tx) => tx.rollback().execute()).catch(() => {}))
  })
})

/** A failed ROLLBACK does not fail the request: the pool closes the connection, and the database rolls back. */
const rollback = (tx: ControlledTransaction<DB>): Effect.Effect<void> =>
  Effect.promise(() =>
    Promise.race([
      tx
        .rollback()
        .execute()
        .then(
          () => {},
          () => {}
        ),
      new Promise<void>((resolve) => setTimeout(resolve, ROLLBACK_WAIT_MS).unref())
    ])
  )

/** The statement by which a fenced lock proves that it is the latest; MySQL hands its token back as the insert id. */
const fenceStatement =
  (tx: ControlledTransaction<DB>) => (text: string, parameters: ReadonlyArray<unknown>) =>
    statement((options) => tx.executeQuery(CompiledQuery.raw(text, [...parameters]), options)).pipe(
      Effect.map(({ insertId }) => Number(insertId ?? 0)),
      Effect.catchTag("UniqueViolation", Effect.die)
    )

const runInTransaction = <Row>(
  build: (tx: ControlledTransaction<DB>) => Query<Row>
): Effect.Effect<QueryResult<Row>, SqlError, Tx> =>
  Effect.flatMap(Tx, (open) => runQuery(open, build(open).compile(open)))

/** A unique violation of a statement that no unique key should refuse is a bug. */
const dieOnUniqueViolation = <A, R>(effect: Effect.Effect<A, SqlError, R>) =>
  Effect.catchTag(effect, "UniqueViolation", (error: UniqueViolation) => Effect.die(error))

/**
 * The database's time at which a statement reads a row, as a column of it. For a locking read that is after its wait for
 * the lock; `NOW()` would be the time before.
 */
export const readAt = sql<Date>`sysdate(3)`.as("read_at")

/** When each open transaction last read rows. */
const lastReadAt = new WeakMap<ControlledTransaction<DB>, Date>()

const rowsInTransaction = <Row>(build: (tx: ControlledTransaction<DB>) => Query<Row>) =>
  Effect.map(dieOnUniqueViolation(runInTransaction(build)), ({ rows }) => rows)

/**
 * The database's time, by which the transaction decides: that of its last {@link tx.timed} row, and only where there
 * is none that of a statement of its own. The clocks of the processes may differ; this one is the same for all.
 */
export const databaseTime: Effect.Effect<Date, WriteConflict | DatabaseUnavailable, Tx> = Effect.flatMap(
  Tx,
  (open) => {
    const known = lastReadAt.get(open)
    return known === undefined
      ? Effect.map(
          rowsInTransaction(() => sql<{ readonly now: Date }>`select sysdate(3) as now`),
          ([row]) => row!.now
        )
      : Effect.succeed(known)
  }
)

/** Does something once the open transaction has committed, and never if it is rolled back. */
export const onCommit = (act: () => void): Effect.Effect<void, never, Tx> =>
  Effect.map(Tx, (open) => {
    const acts = afterCommit.get(open)
    if (acts === undefined) afterCommit.set(open, [act])
    else acts.push(act)
  })

/** Statements of the open transaction. They fail with `WriteConflict` and `DatabaseUnavailable` only. */
export const tx = {
  /** Every row. */
  rows: rowsInTransaction,
  /** Every row of a read that selects {@link readAt}: the transaction decides at the time of the last row. */
  timed: <Row extends { readonly read_at: Date }>(
    build: (tx: ControlledTransaction<DB>) => Query<Row>
  ): Effect.Effect<ReadonlyArray<Row>, WriteConflict | DatabaseUnavailable, Tx> =>
    Effect.zipWith(Tx, rowsInTransaction(build), (open, rows) => {
      const last = rows.at(-1)
      if (last !== undefined) lastReadAt.set(open, last.read_at)
      return rows
    }),
  /** The first row, or `undefined`. */
  first: <Row>(
    build: (tx: ControlledTransaction<DB>) => Query<Row>
  ): Effect.Effect<Row | undefined, WriteConflict | DatabaseUnavailable, Tx> =>
    Effect.map(dieOnUniqueViolation(runInTransaction(build)), ({ rows }) => rows[0]),
  /** How many rows an INSERT, UPDATE or DELETE affected. */
  affected: (build: (tx: ControlledTransaction<DB>) => Query<unknown>) =>
    Effect.map(dieOnUniqueViolation(runInTransaction(build)), ({ numAffectedRows }) =>
      Number(numAffectedRows ?? 0n)
    ),
  /** An INSERT that a concurrent transaction may have preceded: the transaction starts over and finds that row. */
  insertOrRestart: (build: (tx: ControlledTransaction<DB>) => Query<unknown>) =>
    runInTransaction(build).pipe(
      Effect.catchTag("UniqueViolation", () => Effect.fail(new WriteConflict({ errno: DUPLICATE_ENTRY }))),
      Effect.asVoid
    ),
  /** An INSERT whose caller handles the `UniqueViolation`. */
  insert: (build: (tx: ControlledTransaction<DB>) => Query<unknown>) => Effect.asVoid(runInTransaction(build))
}
