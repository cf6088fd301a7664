import { type LockFree, type RedisClient, RedisStore } from "@holdfast/locks"
import { Clock, Effect, Metric } from "effect"
import { sql } from "kysely"
import { db } from "../db/database.ts"
import { type KeyNamespace, learnEpoch } from "../db/key-namespace.ts"
import { type Transactions, tx, type Tx } from "../db/transaction.ts"
import { asLeader, type LeaderLease } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { asideInTransaction } from "../jobs/set-aside.ts"
import { announcedAfter } from "./announcements.ts"
import { type Consumer, handleRows } from "./handling.ts"
import { consumerJob, eventOf, HAS_POSITION, itemOf, positionOf } from "./positions.ts"
import { PUBLISHED } from "./outbox.ts"

/** Events that one run takes. */
const BATCH = 200

/** Events that were set aside and that one run tries again, and their first pause. */
const BATCH_AGAIN = 20
const FIRST_PAUSE_S = 5

/** How often a consumer looks into the outbox unasked: an event whose announcement is lost waits for that. */
const LOOK_EVERY_MS = 2_500
const LOOK_EVERY_WITHOUT_REDIS_MS = 1_000

/** How often it takes its lease all the same, which shows that the consumer is in use. */
const LEASE_EVERY_MS = 60_000

const unknownNumbers = Metric.counter("holdfast_outbox_unknown_numbers_total", {
  description: "Announcements in Redis that name no event of the database; they are dropped",
  incremental: true
})

/** What one server has seen of the announcements. */
interface Seen {
  last: string
  lookedAtMs: number
  leasedAtMs: number
  /** Whether there may be events that the last look has left. */
  isBehind: boolean
  /** Whether Redis did not answer the last time: it may have missed announcements. */
  wasAway: boolean
}

/**
 * A job that feeds a consumer from the outbox. Redis says when to look; what there is to handle, and how far the consumer
 * is, the database says. One process at a time leads the group.
 */
export const consumerOf = <R>(consumer: Consumer<R>) => {
  const seenBy = new WeakMap<RedisClient, Seen>()
  const name = consumerJob(consumer.group)
  return {
    name,
    intervalMs: 150,
    notice: { topic: PUBLISHED, idleMs: 1_500 },
    batch: BATCH,
    run: Effect.gen(function* () {
      const { client } = yield* RedisStore
      const seen = seenBy.get(client) ?? {
        last: "",
        lookedAtMs: 0,
        leasedAtMs: 0,
        isBehind: true,
        wasAway: false
      }
      seenBy.set(client, seen)
      const numbers = yield* listen(seen)
      if (!seen.isBehind) return 0
      const nowMs = yield* Clock.currentTimeMillis
      if (numbers.length === 0 && nowMs - seen.leasedAtMs < LEASE_EVERY_MS && !(yield* hasWork(name))) {
        seen.isBehind = false
        seen.lookedAtMs = nowMs
        return 0
      }
      seen.leasedAtMs = nowMs
      let isLeader = false
      const count = yield* asLeader(name, 0, (lease) => {
        isLeader = true
        const handled = handleNext(consumer, lease, numbers)
        return handled as typeof handled & LockFree<R | Tx | KeyNamespace, Transactions>
      })
      // The leader may die with what it was handling: who was turned away looks again in the next run.
      seen.isBehind = count > 0 || !isLeader
      seen.lookedAtMs = yield* Clock.currentTimeMillis
      return count
    })
  } satisfies Job<unknown>
}

/** Whether there are events that the consumer has not handled. Most looks of an idle shop find none. */
const hasWork = (name: string) =>
  Effect.map(
    db.first(
      () => sql`select 1 from dual where exists (select 1 from set_aside where job = ${name})
        or exists (select 1 from outbox where sequence > coalesce((select cast(state as signed)
          from worker_turns where worker = ${name} and ${HAS_POSITION}), 0))`
    ),
    (row) => row !== undefined
  )

/** Notes whether it is time to look into the outbox. Returns the numbers that were announced meanwhile. */
const listen = Effect.fnUntraced(function* (seen: Seen) {
  const heard = yield* announcedAfter(seen.last).pipe(
    Effect.catchTag("RedisUnavailable", () => Effect.succeed(undefined))
  )
  const lookEveryMs = heard === undefined ? LOOK_EVERY_WITHOUT_REDIS_MS : LOOK_EVERY_MS
  const sinceMs = (yield* Clock.currentTimeMillis) - seen.lookedAtMs
  // Any other last entry is news, older ones too: Redis may have lost its stream, or somebody has made a new one.
  const isNews = heard !== undefined && (heard.last !== seen.last || seen.wasAway)
  seen.wasAway = heard === undefined
  if (heard !== undefined) seen.last = heard.last
  seen.isBehind ||= isNews || sinceMs >= lookEveryMs || sinceMs < 0
  return heard?.numbers ?? []
})

const handleNext = <R>(consumer: Consumer<R>, lease: LeaderLease, numbers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const job = consumerJob(consumer.group)
    const rows = yield* eventsAfter(positionOf(lease.state))
    yield* learnEpoch
    yield* dropUnknown(consumer.group, numbers, new Set(rows.map(({ id }) => String(id))))
    const due = yield* asideInTransaction.dueAgain(job, BATCH_AGAIN)
    const failedAgain = yield* handleRows(consumer, yield* eventsOf(due))
    const failed = [...failedAgain, ...(yield* handleRows(consumer, rows))]
    const failures = failed.map(({ cause, eventId }) => ({ item: itemOf(eventId), cause }))
    yield* asideInTransaction.put(job, failures, FIRST_PAUSE_S)
    // What was handled this time, or is gone from the outbox.
    const stillAside = new Set(failedAgain.map(({ eventId }) => eventId))
    const done = due.filter((item) => !stillAside.has(eventOf(item)))
    yield* asideInTransaction.forget(job, done)
    const last = rows.at(-1)
    if (last !== undefined) yield* lease.remember(String(last.sequence))
    return rows.length + due.length
  })

const eventsAfter = (position: number) =>
  tx.rows((q) =>
    q
      .selectFrom("outbox")
      .select(["id", "topic", "payload", "traceparent", "origin", "sequence"])
      .where("sequence", ">", position)
      .orderBy("sequence")
      .limit(BATCH)
  )

/** The events that were set aside as these items, without those that are gone. */
const eventsOf = (items: ReadonlyArray<Buffer>) =>
  items.length === 0
    ? Effect.succeed([])
    : tx.rows((q) =>
        q
          .selectFrom("outbox")
          .select(["id", "topic", "payload", "traceparent"])
          .where("id", "in", items.map(eventOf))
          .orderBy("sequence")
      )

/** Numbers beyond those just read are looked up; what the database does not have is counted and forgotten. */
const dropUnknown = Effect.fnUntraced(function* (
  consumer: string,
  numbers: ReadonlyArray<string>,
  read: ReadonlySet<string>
) {
  const others = numbers.filter((number) => !read.has(number))
  const ids = others.filter((number) => /^[1-9][0-9]{0,14}$/.test(number)).map(Number)
  const found =
    ids.length === 0 ? [] : yield* tx.rows((q) => q.selectFrom("outbox").select("id").where("id", "in", ids))
  const known = new Set(found.map(({ id }) => String(id)))
  const unknown = others.filter((number) => !known.has(number))
  if (unknown.length === 0) return
  yield* Metric.update(Metric.withAttributes(unknownNumbers, { consumer }), unknown.length)
  yield* Effect.logWarning("Redis announced events that the database does not have", {
    consumer,
    count: unknown.length,
    first: unknown[0]
  })
})
