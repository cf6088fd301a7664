import { askRedis, type RedisClient } from "@holdfast/locks"
import { Effect, Metric } from "effect"
import { sql } from "kysely"
import { KeyNamespace } from "../db/key-namespace.ts"
import { tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import { asLeader, type LeaderLease } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { streamKey } from "./outbox.ts"

/** Events that one run publishes at most. */
const BATCH = 500

const NO_HEAD = "0-0"

/** After a loss, events published up to this long before the surviving head are published again. */
const SUSPECT_MS = 60_000

/** The relay pauses while the stream is longer than this: events of slow consumers wait in the database. */
const MAXIMUM_LENGTH = 200_000

const republished = Metric.counter("holdfast_outbox_republished_total", {
  description: "Events that were published again because Redis lost them",
  incremental: true
})

/**
 * Publishes committed outbox events to the stream, each at least once, in the order of their ids. One process leads, so
 * events inserted under the same row lock keep their order. A crash between Redis and the commit publishes the batch
 * again. A Redis that lost entries has a head behind the remembered one, and gets them again.
 */
export const outboxRelay = {
  name: "outbox relay",
  intervalMs: 200,
  run: asLeader("outbox relay", 0, (lease) =>
    Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const rows = yield* unpublished
      const outcome = yield* askRedis((client) => addEvents(client, key, lease.state ?? NO_HEAD, rows))
      yield* failpoint("relay: events added")
      if (outcome._tag === "Lost") return yield* publishAgain(lease, outcome.head)
      if (outcome._tag === "Full") {
        yield* Effect.logWarning("the stream is full because its consumers lag; events wait in the outbox")
        return 0
      }
      const head = outcome.streamIds.at(-1)
      if (head === undefined) return 0
      yield* markPublished(
        rows.map(({ id }) => id),
        outcome.streamIds
      )
      yield* lease.remember(head)
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

/** Unpublishes the events after the surviving head, with a margin; consumers recognise duplicates by their ids. */
const publishAgain = Effect.fnUntraced(function* (lease: LeaderLease, head: string) {
  const sinceMs = Math.max(0, Number(head.split("-")[0]) - SUSPECT_MS)
  const count = yield* tx.affected((q) =>
    q
      .updateTable("outbox")
      .set({ published_at: null, stream_id: null })
      .where("published_at", ">=", new Date(sinceMs))
  )
  yield* lease.remember(head)
  yield* Metric.update(republished, count)
  yield* Effect.logWarning("Redis has lost events; they are published again", { head, count })
  return count + 1
})

/**
 * KEYS: the stream. ARGV: the remembered head ("0-0": none), the maximum length, then topic, id and payload of each
 * event. Returns the ids of the new entries, or the actual head when it is behind the remembered one: Redis has then
 * lost entries, which must be published first.
 */
const ADD = `
local head, length = '0-0', 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then head = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
  end
end
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local headMs, headSeq = parts(head)
local knownMs, knownSeq = parts(ARGV[1])
if headMs < knownMs or (headMs == knownMs and headSeq < knownSeq) then return {'LOST', head} end
if length > tonumber(ARGV[2]) then return {'FULL', head} end
local ids = {'ADDED'}
for i = 3, #ARGV, 3 do
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'topic', ARGV[i], 'event', ARGV[i + 1], 'payload', ARGV[i + 2])
end
return ids`

type AddOutcome =
  | { readonly _tag: "Added"; readonly streamIds: ReadonlyArray<string> }
  | { readonly _tag: "Lost"; readonly head: string }
  | { readonly _tag: "Full" }

/** Adds events after the remembered head, all of them or none. */
const addEvents = async (
  client: RedisClient,
  key: string,
  rememberedHead: string,
  rows: ReadonlyArray<{ readonly id: number; readonly topic: string; readonly payload: string }>
): Promise<AddOutcome> => {
  const fields = rows.flatMap(({ id, payload, topic }) => [topic, String(id), payload])
  const reply = (await client.eval(ADD, 1, key, rememberedHead, MAXIMUM_LENGTH, ...fields)) as Array<string>
  const [verdict, ...rest] = reply
  if (verdict === "LOST") return { _tag: "Lost", head: rest[0] ?? NO_HEAD }
  return verdict === "FULL" ? { _tag: "Full" } : { _tag: "Added", streamIds: rest }
}
