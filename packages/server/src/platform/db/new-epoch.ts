import { Effect } from "effect"
import { sql } from "kysely"
import { inTransaction, tx } from "./transaction.ts"

/** The database's time in microseconds since 1970. */
export const MICROSECONDS = sql`cast(unix_timestamp(now(6)) * 1000000 as signed)`

/**
 * The first event of an epoch has the time at which it begins as its id, in units of ten microseconds. No database
 * inserts an event in each, so no id of an earlier epoch is as high, those of a lost past included.
 */
const IDS_PER_SECOND = 100_000

/** Later than any event: all of them are the backup's. */
const NEVER_US = 4_000_000_000_000_000

/** How long no process uses the cache: longer than any takes to know. */
const SUSPENDED_S = 2

interface Restored {
  /** The epoch that ends. */
  readonly epoch: number
  /** The highest beat that was seen in the database's past. */
  readonly mark: number
  /** How long the epoch must have lasted. */
  readonly restAtLeastUs: number
}

/**
 * Begins a new epoch, unless the database has come as far as the mark or is in another epoch: of any number of processes,
 * one succeeds.
 *
 * @returns whether it has begun
 */
export const beginEpoch = ({ epoch, mark, restAtLeastUs }: Restored) =>
  inTransaction(
    Effect.gen(function* () {
      const began = yield* tx.affected(
        () => sql`update installation set epoch = greatest(epoch + 1, ${MICROSECONDS}), beat = greatest(beat + 1, ${MICROSECONDS})
          where epoch = ${epoch} and beat < ${mark} and epoch <= ${MICROSECONDS} - ${restAtLeastUs}`
      )
      if (began === 0) return false
      yield* beginAnew(mark)
      return true
    })
  )

/** Begins a new epoch for a restore that nobody can notice, because Redis and all processes have forgotten the past. */
export const beginEpochNow = inTransaction(
  Effect.gen(function* () {
    yield* tx.affected(
      () =>
        sql`update installation set epoch = greatest(epoch + 1, ${MICROSECONDS}), beat = greatest(beat + 1, ${MICROSECONDS})`
    )
    yield* beginAnew(NEVER_US)
  })
)

const beginAnew = Effect.fnUntraced(function* (mark: number) {
  // The generation is part of every key of the cache, and the lost past may have had the next one.
  yield* tx.affected(
    () => sql`update cache_trust set generation = greatest(generation + 1, ${MICROSECONDS}),
      suspended_until = greatest(suspended_until, now(6) + interval ${SUSPENDED_S} second)`
  )
  yield* renumber(mark)
})

/**
 * Events get new ids from here on. Those that were inserted since the restore, and that nobody has seen, get new ones as
 * well; those of the backup keep theirs, because they may have been delivered under them.
 */
const renumber = Effect.fnUntraced(function* (mark: number) {
  const row = yield* tx.first(
    () => sql<{ readonly base: number }>`select greatest(
      (epoch div 1000000) * ${IDS_PER_SECOND}, (select coalesce(max(id), 0) from outbox)) as base from installation`
  )
  const base = row!.base
  yield* skipIds(base + IDS_PER_SECOND)
  const unseen = sql<boolean>`published_at is null and created_at > from_unixtime(${mark} / 1000000)`
  const fresh = yield* tx.first((q) =>
    q.selectFrom("outbox").select("id").where(unseen).where("id", "<", base).orderBy("id").limit(1)
  )
  const first = fresh?.id
  if (first === undefined) return
  yield* tx.affected(
    () => sql`update outbox set id = id - ${first} + ${base + 1}
      where ${unseen} and id between ${first} and ${first + IDS_PER_SECOND - 2} order by id`
  )
})

/** The next id of the outbox is higher than this: a deleted row still counts. */
const skipIds = Effect.fnUntraced(function* (id: number) {
  yield* tx.affected((q) => q.insertInto("outbox").values({ id, topic: "", payload: "{}" }))
  yield* tx.affected((q) => q.deleteFrom("outbox").where("id", "=", id))
})
