import { askRedis, type RedisClient } from "@holdfast/locks"
import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { tx } from "../db/transaction.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { streamKey } from "./outbox.ts"

/** A group whose consumers were all idle for this long is out of use and holds no entries back. */
const GROUP_IS_GONE_AFTER_MS = 86_400_000

/** Rows that one run deletes. */
const BATCH = 20_000

/** Drops the entries that every group has confirmed. */
export const streamTrimmer = {
  name: "stream trimmer",
  intervalMs: 5_000,
  run: asLeader("stream trimmer", 5_000, () =>
    Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const trimmed = yield* askRedis((client) => trimStream(client, key))
      yield* Effect.logDebug("trimmed the stream", { trimmed })
      return 0
    })
  )
} satisfies Job<unknown>

/** Returns how many entries were dropped. Exported for tests. */
export const trimStream = async (client: RedisClient, key: string): Promise<number> => {
  if ((await client.exists(key)) === 0) return 0
  const needed: Array<string> = []
  for (const group of await infoOf(client.xinfo("GROUPS", key))) {
    const name = String(group["name"])
    if (await isGone(client, key, name)) continue
    const [pendingCount, oldestPending] = (await client.xpending(key, name)) as [number, string | null]
    needed.push(
      pendingCount > 0 && oldestPending !== null ? oldestPending : String(group["last-delivered-id"])
    )
  }
  const oldestNeeded = needed.toSorted(byStreamId)[0]
  return oldestNeeded === undefined ? 0 : await client.xtrim(key, "MINID", "=", oldestNeeded)
}

const isGone = async (client: RedisClient, key: string, group: string): Promise<boolean> => {
  const consumers = await infoOf(client.xinfo("CONSUMERS", key, group))
  return (
    consumers.length > 0 && consumers.every((consumer) => Number(consumer["idle"]) > GROUP_IS_GONE_AFTER_MS)
  )
}

/** Redis replies with flat lists of names and values. */
const infoOf = async (reply: Promise<unknown>): Promise<ReadonlyArray<Record<string, unknown>>> =>
  ((await reply) as ReadonlyArray<ReadonlyArray<unknown>>).map((flat) =>
    Object.fromEntries(
      flat.flatMap((name, at) => (at % 2 === 0 ? [[String(name), flat[at + 1]] as const] : []))
    )
  )

const byStreamId = (a: string, b: string): number => {
  const [aMs = 0, aSeq = 0] = a.split("-").map(Number)
  const [bMs = 0, bSeq = 0] = b.split("-").map(Number)
  return aMs - bMs || aSeq - bSeq
}

/** Deletes published events after the retention, and stores the time up to which events may be gone for the audit. */
export const outboxTrimmer = {
  name: "outbox trimmer",
  intervalMs: 30_000,
  run: asLeader("outbox trimmer", 30_000, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const before = sql<Date>`utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond`
      const count = yield* tx.affected((q) =>
        q.deleteFrom("outbox").where("published_at", "<", before).orderBy("id").limit(BATCH)
      )
      if (count > 0)
        yield* tx.affected((q) => q.updateTable("installation").set({ outbox_trimmed_before: before }))
      return 0
    })
  )
} satisfies Job<unknown>
