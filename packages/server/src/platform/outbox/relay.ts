import { Effect, Metric } from "effect"
import { sql } from "kysely"
import { KeyNamespace } from "../db/key-namespace.ts"
import { tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import { askRedis } from "@holdfast/locks"
import { asLeader, type Turn } from "../jobs/leader.ts"
import type { Job } from "../jobs/job.ts"
import { addEvents, streamKey } from "./stream.ts"

/** Events that one round publishes at most. */
const BATCH = 500

const NOTHING_YET = "0-0"

/** How far back a Redis that lost some of its entries is distrusted beyond what it still has. */
const SUSPECT_MS = 60_000

const republished = Metric.counter("holdfast_outbox_republished_total", {
  description: "Events that were published again because Redis lost them",
  incremental: true
})

/**
 * Publishes the events of the outbox to the stream: only committed ones, each at least once, in the order of their
 * numbers. One process at a time does it, so the events of one order, which were written under its row lock, stay in
 * their order. A crash between Redis and the commit publishes the batch again; a Redis that lost entries is told by the
 * head of its stream, which is then behind the one remembered, and gets them again.
 */
export const outboxRelay = {
  name: "outbox relay",
  everyMs: 200,
  round: asLeader("outbox relay", 0, (turn) =>
    Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const rows = yield* unpublished
      const outcome = yield* askRedis((client) => addEvents(client, key, turn.state ?? NOTHING_YET, rows))
      yield* failpoint("relay: events added")
      if (outcome._tag === "Lost") return yield* publishAgain(turn, outcome.head)
      if (outcome._tag === "Full") {
        yield* Effect.logWarning("the consumers of the stream are far behind; events wait in the outbox")
        return 0
      }
      const head = outcome.streamIds.at(-1)
      if (head === undefined) return 0
      yield* markPublished(
        rows.map(({ id }) => id),
        outcome.streamIds
      )
      yield* turn.remember(head)
      return rows.length
    })
  )
} satisfies Job<unknown>

const unpublished = tx.rows((q) =>
  q
    .selectFrom("outbox")
    .select(["id", "topic", "payload"])
    .where("published_at", "is", null)
    .orderBy("id")
    .limit(BATCH)
)

const markPublished = (ids: ReadonlyArray<number>, streamIds: ReadonlyArray<string>) => {
  const cases = ids.map((id, index) => sql`when ${id} then ${streamIds[index]}`)
  return tx.affected((q) =>
    q
      .updateTable("outbox")
      .set({
        published_at: sql<Date>`utc_timestamp(3)`,
        stream_id: sql<string>`case id ${sql.join(cases, sql` `)} end`
      })
      .where("id", "in", ids)
  )
}

/** Everything behind what Redis still has is unpublished again, with a margin; consumers know events by their number. */
const publishAgain = Effect.fnUntraced(function* (turn: Turn, head: string) {
  const sinceMs = Math.max(0, Number(head.split("-")[0]) - SUSPECT_MS)
  const forgotten = yield* tx.affected((q) =>
    q
      .updateTable("outbox")
      .set({ published_at: null, stream_id: null })
      .where("published_at", ">=", new Date(sinceMs))
  )
  const count = forgotten
  yield* turn.remember(head)
  yield* Metric.update(republished, count)
  yield* Effect.logWarning("Redis has lost events; they are published again", { head, count })
  return count + 1
})
