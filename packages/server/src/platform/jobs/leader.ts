import type { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import type { Database } from "../db/database.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import { inTransaction, type Transactions, tx, type Tx } from "../db/transaction.ts"
import type { LockFree } from "@holdfast/locks"

/** What a worker finds when it is its turn. */
export interface Turn {
  /** What the round before wanted to be remembered. */
  readonly state: string | null
  readonly remember: (state: string) => ReturnType<typeof setState>
}

/**
 * Work that only one process may do at a time. The body runs in a transaction that holds the worker's row: while one
 * process has it, the others find nothing to do, and when that process dies, the database lets go of the row with its
 * connection. `everyMs` is the least time between two rounds of all processes together.
 *
 * @returns what the body returns; 0 when it is not this process's turn, or too early.
 */
export const asLeader = <E, R>(
  worker: string,
  everyMs: number,
  body: (turn: Turn) => Effect.Effect<number, E, R> & LockFree<R, Transactions>
): Effect.Effect<
  number,
  Exclude<E, WriteConflict | DatabaseUnavailable> | ServiceUnavailable,
  Exclude<R, Tx> | Database | Transactions
> => {
  const round = Effect.gen(function* () {
    const row = yield* acquireLease(worker, everyMs)
    if (row === undefined) return 0
    const turn: Turn = { state: row.state, remember: (state) => setState(worker, state) }
    const count = yield* body(turn) as Effect.Effect<number, E, R>
    yield* stampLease(worker)
    return count
  })
  // What the turn adds to the body are statements: what was checked of the body holds for both.
  return inTransaction(round as typeof round & LockFree<R | Tx, Transactions>)
}

/** The first worker of its name makes the row, and has its turn with that. */
const acquireLease = (worker: string, everyMs: number) =>
  Effect.gen(function* () {
    const row =
      (yield* lockLease(worker, everyMs)) ??
      ((yield* insertLease(worker)) ? yield* lockLease(worker, everyMs) : undefined)
    return row?.is_due === 1 ? row : undefined
  })

const lockLease = (worker: string, everyMs: number) =>
  tx.first((q) =>
    q
      .selectFrom("worker_turns")
      .select([
        "state",
        sql<number>`coalesce(last_round_at <= utc_timestamp(3) - interval ${everyMs * 1000} microsecond, 1)`.as(
          "is_due"
        )
      ])
      .where("worker", "=", worker)
      .forUpdate()
      .skipLocked()
  )

/** A row that is there is locked by another process: then nothing is inserted, and nobody waits. */
const insertLease = (worker: string) =>
  tx
    .affected(
      () =>
        sql`insert ignore into worker_turns (worker) select ${worker} from dual
      where not exists (select 1 from worker_turns where worker = ${worker})`
    )
    .pipe(Effect.map((inserted) => inserted === 1))

/** Idle rounds, several a second, leave it at one write a second. */
const stampLease = (worker: string) =>
  tx.affected((q) =>
    q
      .updateTable("worker_turns")
      .set({ last_round_at: sql<Date>`utc_timestamp(3)` })
      .where("worker", "=", worker)
      .where(sql<boolean>`coalesce(last_round_at <= utc_timestamp(3) - interval 1 second, 1)`)
  )

const setState = (worker: string, state: string) =>
  tx.affected((q) => q.updateTable("worker_turns").set({ state }).where("worker", "=", worker))
