import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { KeyNamespace } from "../db/key-namespace.ts"
import { askRedis, RedisUnavailable } from "@holdfast/locks"
import type { RedisClient } from "@holdfast/locks"
import type { Job } from "../jobs/job.ts"
import { eventOf, type OutboxEvent, type StreamEntry, streamKey } from "./stream.ts"

/** Somebody who wants events. */
export interface Subscription<R> {
  /** Names the group: every group gets every event, and shares them among its processes. */
  readonly group: string
  readonly topics: ReadonlyArray<string>
  /**
   * Takes a batch of events. It may get an event several times, so what it does must be the same as doing it once. When
   * it fails, the batch comes again.
   */
  readonly handle: (events: ReadonlyArray<OutboxEvent>) => Effect.Effect<void, Error, R>
}

/** Events that one round takes. */
const BATCH = 200

/** What another consumer has kept for this long without confirming it is taken over: that process is gone. */
const ABANDONED_AFTER_MS = 15_000

/**
 * Names a server among the consumers of a group, as long as it has its client: two servers of one process must not take
 * what the other one is at for their own leftovers.
 */
const consumerNameOf = (client: RedisClient): string => {
  const known = consumerNames.get(client)
  if (known !== undefined) return known
  const name = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`
  consumerNames.set(client, name)
  return name
}
const consumerNames = new WeakMap<RedisClient, string>()

/** A worker that feeds a subscription. Entries are confirmed after they were handled, never before. */
export const consumerOf = <R>(subscription: Subscription<R>) =>
  ({
    name: `events for ${subscription.group}`,
    everyMs: 150,
    round: Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const entries = yield* takeEntries(key, subscription.group)
      if (entries.length === 0) return 0
      const wanted = entries.flatMap(({ event }) =>
        event !== undefined && subscription.topics.includes(event.topic) ? [event] : []
      )
      if (wanted.length > 0) yield* subscription.handle(wanted)
      const ids = entries.map(({ streamId }) => streamId)
      yield* askRedis((client) => client.xack(key, subscription.group, ...ids))
      return entries.length
    })
  }) satisfies Job<unknown>

type TakenEntry = Omit<StreamEntry, "event"> & { readonly event: OutboxEvent | undefined }

/**
 * First what this process took before and did not get done, then what was abandoned by others, then new entries. The
 * group begins with the oldest entry: after a loss of Redis it is made anew, and nothing may be skipped.
 */
const takeEntries = (key: string, group: string) =>
  askRedis(async (client): Promise<ReadonlyArray<TakenEntry>> => {
    const own = await readGroup(client, key, group, "0")
    if (own.length > 0) return own
    const abandoned = (await client.xautoclaim(
      key,
      group,
      consumerNameOf(client),
      ABANDONED_AFTER_MS,
      "0",
      "COUNT",
      BATCH
    )) as [string, ReadonlyArray<RawEntry | null>]
    if (abandoned[1].length > 0) return entriesOf(abandoned[1])
    return readGroup(client, key, group, ">")
  }).pipe(
    Effect.catch((error) =>
      isMissingGroup(error) ? Effect.as(makeGroup(key, group), []) : Effect.fail(error)
    )
  )

/** Of two processes that find the group missing at the same moment, one makes it and the other finds it made. */
const makeGroup = (key: string, group: string) =>
  askRedis((client) => client.xgroup("CREATE", key, group, "0", "MKSTREAM")).pipe(
    Effect.catch((error) => (isGroupThere(error) ? Effect.void : Effect.fail(error)))
  )

type RawEntry = [id: string, fields: ReadonlyArray<string> | null]

const readGroup = async (client: RedisClient, key: string, group: string, from: "0" | ">") => {
  const reply = (await client.xreadgroup(
    "GROUP",
    group,
    consumerNameOf(client),
    "COUNT",
    BATCH,
    "STREAMS",
    key,
    from
  )) as ReadonlyArray<[string, ReadonlyArray<RawEntry>]> | null
  return entriesOf(reply?.[0]?.[1] ?? [])
}

/** An entry that was trimmed while it was pending has no fields any more; it is confirmed like the others. */
const entriesOf = (raw: ReadonlyArray<RawEntry | null>): ReadonlyArray<TakenEntry> =>
  raw.flatMap((entry) =>
    entry === null ? [] : [{ streamId: entry[0], event: entry[1] === null ? undefined : eventOf(entry[1]) }]
  )

const isMissingGroup = (error: RedisUnavailable): boolean =>
  error.cause instanceof Error && error.cause.message.startsWith("NOGROUP")

const isGroupThere = (error: RedisUnavailable): boolean =>
  error.cause instanceof Error && error.cause.message.startsWith("BUSYGROUP")
