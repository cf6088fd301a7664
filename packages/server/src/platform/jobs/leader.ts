import type { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import type { Database } from "../db/database.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import { inTransaction, type Transactions, tx, type Tx } from "../db/transaction.ts"
import type { LockFree } from "@holdfast/locks"

/** Held by the process that leads a job, for one run. */
export interface LeaderLease {
  /** What the previous run of any process remembered. */
  readonly state: string | null
  readonly remember: (state: string) => ReturnType<typeof setState>
}

/**
 * Work that only one process may do at a time. The body runs in a transaction that locks the job's row in
 * `worker_turns`: meanwhile the other processes find nothing to do. When the process dies, the database releases the
 * row with its connection.
 *
 * @param intervalMs the least time between two runs, over all processes.
 * @returns what the body returns; 0 when another process leads the job, or when the run is not due.
 */
export const asLeader = <E, R>(
  job: string,
  intervalMs: number,
  body: (lease: LeaderLease) => Effect.Effect<number, E, R> & LockFree<R, Transactions>
): Effect.Effect<
  number,
  Exclude<E, WriteConflict | DatabaseUnavailable> | ServiceUnavailable,
  Exclude<R, Tx> | Database | Transactions
> => {
  const run = Effect.gen(function* () {
    const row = yield* acquireLease(job, intervalMs)
    if (row === undefined) return 0
    const lease: LeaderLease = { state: row.state, remember: (state) => setState(job, state) }
    const count = yield* body(lease) as Effect.Effect<number, E, R>
    yield* stampLease(job)
    return count
  })
  // The lease adds only statements to the body, so the check of the body holds for both.
  return inTransaction(run as typeof run & LockFree<R | Tx, Transactions>)
}

/** The first process that runs a job inserts its row, and leads with it. */
const acquireLease = (job: string, intervalMs: number) =>
  Effect.gen(function* () {
    const row =
      (yield* lockLease(job, intervalMs)) ??
      ((yield* insertLease(job)) ? yield* lockLease(job, intervalMs) : undefined)
    return row?.is_due === 1 ? row : undefined
  })

const lockLease = (job: string, intervalMs: number) =>
  tx.first((q) =>
    q
      .selectFrom("worker_turns")
      .select([
        "state",
        sql<number>`coalesce(last_round_at <= utc_timestamp(3) - interval ${intervalMs * 1000} microsecond, 1)`.as(
          "is_due"
        )
      ])
      .where("worker", "=", job)
      .forUpdate()
      .skipLocked()
  )

/** Inserts nothing, and waits for no lock, when the row exists because another process holds it. */
const insertLease = (job: string) =>
  tx
    .affected(
      () =>
        sql`insert ignore into worker_turns (worker) select ${job} from dual
      where not exists (select 1 from worker_turns where worker = ${job})`
    )
    .pipe(Effect.map((inserted) => inserted === 1))

/** Idle runs, several a second, write at most once a second. */
const stampLease = (job: string) =>
  tx.affected((q) =>
    q
      .updateTable("worker_turns")
      .set({ last_round_at: sql<Date>`utc_timestamp(3)` })
      .where("worker", "=", job)
      .where(sql<boolean>`coalesce(last_round_at <= utc_timestamp(3) - interval 1 second, 1)`)
  )

const setState = (job: string, state: string) =>
  tx.affected((q) => q.updateTable("worker_turns").set({ state }).where("worker", "=", job))
