import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { tx } from "../db/transaction.ts"
import { askRedis } from "@holdfast/locks"
import type { RedisClient } from "@holdfast/locks"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/job.ts"
import { streamKey } from "./stream.ts"

/** A group whose consumers have all been silent for this long holds nobody up: nobody runs it any more. */
const GROUP_IS_GONE_AFTER_MS = 86_400_000

/** Rows that one round deletes. */
const BATCH = 20_000

/** Drops from the stream what every group has confirmed. */
export const streamTrimmer = {
  name: "stream trimmer",
  everyMs: 5_000,
  round: asLeader("stream trimmer", 5_000, () =>
    Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const trimmed = yield* askRedis((client) => trimStream(client, key))
      yield* Effect.logDebug("trimmed the stream", { trimmed })
      return 0
    })
  )
} satisfies Job<unknown>

/** @returns how many entries were dropped. */
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

/** Redis answers with flat lists of names and values. */
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

/**
 * Deletes published events after a while, and remembers until when, so that an audit does not miss them. `order.paid`
 * is missed by nobody then: its effects have books of their own.
 */
export const outboxTrimmer = {
  name: "outbox trimmer",
  everyMs: 30_000,
  round: asLeader("outbox trimmer", 30_000, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const before = sql<Date>`utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond`
      const deleted = yield* tx.affected((q) =>
        q.deleteFrom("outbox").where("published_at", "<", before).orderBy("id").limit(BATCH)
      )
      const count = deleted
      if (count > 0)
        yield* tx.affected((q) => q.updateTable("installation").set({ outbox_trimmed_before: before }))
      return 0
    })
  )
} satisfies Job<unknown>
