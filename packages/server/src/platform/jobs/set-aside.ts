import type { ServiceUnavailable } from "@holdfast/domain"
import { RedisUnavailable } from "@holdfast/locks"
import { Cause, Effect, Exit, Metric, Result } from "effect"
import { type Kysely, sql } from "kysely"
import type { Check } from "../audit/check.ts"
import { type Database, db, type Query } from "../db/database.ts"
import type { DB } from "../db/tables.ts"
import { tx } from "../db/transaction.ts"

/** Pauses double up to this. Without a first pause, the next run tries again, and then the pause is a second. */
const LONGEST_PAUSE_S = 600

/** So many failures of one item, over half a minute, are reported by the audit. */
const REPORTED_FAILURES = 6

const failures = Metric.counter("holdfast_job_items_set_aside_total", {
  description: "Items that a job could not handle and has set aside, each failed attempt counted",
  incremental: true
})

const LONGEST_REASON = 500

export interface Attempts<A, E, R> {
  /** Names the job in `set_aside`. */
  readonly job: string
  /** Identifies an item: up to 64 bytes. */
  readonly keyOf: (item: A) => Buffer
  /** Returns how many things it did. Handling an item twice must be harmless. */
  readonly handle: (item: A) => Effect.Effect<number, E, R>
  /** Items that are handled at once. */
  readonly concurrency: number
  /** An item that takes longer counts as failed. */
  readonly withinMs: number
}

/**
 * Handles each item by itself. One that fails or takes too long is set aside with the reason, so that it does not keep
 * the others waiting; until its pause is over it is left out. Fails when Redis serves no caller, because that is the
 * fault of no item.
 *
 * @returns the sum of what `handle` returned.
 */
export const attemptEach = <A, E, R>(
  items: ReadonlyArray<A>,
  { concurrency, handle, job, keyOf, withinMs }: Attempts<A, E, R>
): Effect.Effect<number, ServiceUnavailable | RedisUnavailable, R | Database> =>
  Effect.gen(function* () {
    if (items.length === 0) return 0
    const known = yield* findSetAside(job, items.map(keyOf))
    const due = items.filter((item) => known.get(keyOf(item).toString("hex")) !== "waiting")
    const counts = yield* Effect.forEach(
      due,
      Effect.fnUntraced(function* (item) {
        const exit = yield* Effect.exit(Effect.timeout(handle(item), withinMs))
        const key = keyOf(item)
        if (Exit.isFailure(exit)) {
          const error = Cause.findError(exit.cause)
          if (
            Result.isSuccess(error) &&
            error.success instanceof RedisUnavailable &&
            error.success.everywhere
          )
            return yield* error.success
          yield* aside.put(job, [{ item: key, cause: exit.cause }])
          return 0
        }
        if (known.has(key.toString("hex"))) yield* aside.forget(job, [key])
        return exit.value
      }),
      { concurrency }
    )
    return counts.reduce((sum, count) => sum + count, 0)
  })

/** Which of these items are set aside: `waiting` until their pause is over, then `due`. */
const findSetAside = (job: string, keys: ReadonlyArray<Buffer>) =>
  db
    .rows((q) =>
      q
        .selectFrom("set_aside")
        .select(["item", sql<number>`next_attempt_at <= utc_timestamp(3)`.as("is_due")])
        .where("job", "=", job)
        .where("item", "in", keys)
    )
    .pipe(
      Effect.map(
        (rows) =>
          new Map(
            rows.map((row) => [row.item.toString("hex"), row.is_due === 1 ? "due" : "waiting"] as const)
          )
      )
    )

/** An item that could not be handled, and why. */
export interface Failure {
  readonly item: Buffer
  readonly cause: Cause.Cause<unknown>
}

/** Runs a statement and gives its rows. */
type Run<E, R> = <Row>(build: (q: Kysely<DB>) => Query<Row>) => Effect.Effect<ReadonlyArray<Row>, E, R>

const makeAside = <E, R>(run: Run<E, R>) => ({
  /** Sets items aside, for `firstPauseS` at first and for twice as long each time they fail again. */
  put: Effect.fnUntraced(function* (job: string, failed: ReadonlyArray<Failure>, firstPauseS = 0) {
    const [first] = failed
    if (first === undefined) return
    yield* run(() => insertion(job, failed, firstPauseS))
    yield* Metric.update(Metric.withAttributes(failures, { job }), failed.length)
    const facts = { count: failed.length, first: nameOf(first.item) }
    yield* Effect.logWarning("items were set aside and will be tried again", facts, first.cause)
  }),
  /** Items that were handled, or are gone, are set aside no more. */
  forget: (job: string, items: ReadonlyArray<Buffer>) =>
    items.length === 0
      ? Effect.void
      : Effect.asVoid(
          run((q) => q.deleteFrom("set_aside").where("job", "=", job).where("item", "in", items))
        ),
  /** Items of a job whose pause is over, the longest waiting first. */
  dueAgain: (job: string, limit: number) =>
    Effect.map(
      run((q) =>
        q
          .selectFrom("set_aside")
          .select("item")
          .where("job", "=", job)
          .where("next_attempt_at", "<=", sql<Date>`utc_timestamp(3)`)
          .orderBy("next_attempt_at")
          .limit(limit)
      ),
      (rows) => rows.map(({ item }) => item)
    )
})

/** What jobs have set aside, outside of any transaction. */
export const aside = makeAside(db.rows)

/** The same as part of the open transaction. */
export const asideInTransaction = makeAside(tx.rows)

const insertion = (job: string, failed: ReadonlyArray<Failure>, firstPauseS: number) => {
  const rows = failed.map(
    ({ cause, item }) =>
      sql`(${job}, ${item}, ${reasonOf(Cause.squash(cause)).slice(0, LONGEST_REASON)},
        utc_timestamp(3) + interval ${firstPauseS} second)`
  )
  const secondPauseS = Math.max(1, 2 * firstPauseS)
  return sql`insert into set_aside (job, item, reason, next_attempt_at) values ${sql.join(rows)}
    on duplicate key update reason = values(reason),
      next_attempt_at = utc_timestamp(3) + interval cast(
        least(${secondPauseS} * power(2, least(failures, 20) - 1), ${LONGEST_PAUSE_S}) as signed) second,
      failures = failures + 1`
}

/** The message, or the fields of an error without one. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && error.message === "" ? `${error.name} ${JSON.stringify(error)}` : String(error)

/** Ids have 16 bytes; the names of other items are texts. */
const nameOf = (item: Buffer): string => item.toString(item.length === 16 ? "hex" : "utf8")

/** An SQL condition: the job has not set this column's item aside. */
export const isNotSetAside = (job: string, column: string) =>
  sql<boolean>`not exists (select 1 from set_aside s where s.job = ${job} and s.item = ${sql.ref(column)})`

/** An SQL condition: the job has not set this column's item aside, or its pause is over. */
export const isDue = (job: string, column: string) =>
  sql<boolean>`not exists (select 1 from set_aside s where s.job = ${job} and s.item = ${sql.ref(column)}
    and s.next_attempt_at > utc_timestamp(3))`

export const setAsideCheck: Check = {
  name: "jobs",
  promise: `no job has failed at the same item ${REPORTED_FAILURES} times in a row`,
  countSql: "SELECT COUNT(*) AS n FROM set_aside",
  problemsSql: `SELECT job, IF(LENGTH(item) = 16, LOWER(HEX(item)), CAST(item AS CHAR)) AS item, failures, first_failed_at, next_attempt_at, reason
    FROM set_aside WHERE failures >= ${REPORTED_FAILURES} AND next_attempt_at > UTC_TIMESTAMP(3) - INTERVAL 1 DAY`
}
