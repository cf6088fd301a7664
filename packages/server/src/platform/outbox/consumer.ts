import { askRedis, type RedisClient, type RedisUnavailable } from "@holdfast/locks"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { KeyNamespace } from "../db/key-namespace.ts"
import type { Job } from "../jobs/runner.ts"
import { type OutboxEvent, streamKey } from "./outbox.ts"

export interface Consumer<R> {
  /** Every group receives every event, and shares the events among its processes. */
  readonly group: string
  readonly topics: ReadonlyArray<string>
  /** Handles a batch, idempotently: an event may arrive several times. A batch that fails is delivered again. */
  readonly handle: (events: ReadonlyArray<OutboxEvent>) => Effect.Effect<void, Error, R>
}

/** Events that one run takes. */
const BATCH = 200

/** Entries unconfirmed for this long are taken over: the process that had them is gone. */
const ABANDONED_AFTER_MS = 15_000

/** Names a server in its group. Two servers of one process differ, or each would take the other's pending entries. */
const consumerNameOf = (client: RedisClient): string => {
  const known = consumerNames.get(client)
  if (known !== undefined) return known
  const name = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`
  consumerNames.set(client, name)
  return name
}
const consumerNames = new WeakMap<RedisClient, string>()

/** A job that feeds a consumer. It confirms entries after they were handled, never before. */
export const consumerOf = <R>(consumer: Consumer<R>) =>
  ({
    name: `events for ${consumer.group}`,
    intervalMs: 150,
    run: Effect.gen(function* () {
      const { prefix } = yield* KeyNamespace
      const key = streamKey(yield* prefix)
      const entries = yield* takeEntries(key, consumer.group)
      if (entries.length === 0) return 0
      const wanted = entries.flatMap(({ event }) =>
        event !== undefined && consumer.topics.includes(event.topic) ? [event] : []
      )
      if (wanted.length > 0) yield* consumer.handle(wanted)
      const ids = entries.map(({ streamId }) => streamId)
      yield* askRedis((client) => client.xack(key, consumer.group, ...ids))
      return entries.length
    })
  }) satisfies Job<unknown>

/** `event` is missing where the entry was trimmed while it was pending, or is none of the relay's. */
interface StreamEntry {
  readonly streamId: string
  readonly event: OutboxEvent | undefined
}

/**
 * Takes this process's unfinished entries first, then those abandoned by others, then new ones. A group starts at the
 * oldest entry: it is created again after a loss of Redis and must not skip any.
 */
const takeEntries = (key: string, group: string) =>
  askRedis(async (client): Promise<ReadonlyArray<StreamEntry>> => {
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
      repliedWith(error, "NOGROUP") ? Effect.as(createGroup(key, group), []) : Effect.fail(error)
    )
  )

/** Succeeds as well when another process has just created the group. */
const createGroup = (key: string, group: string) =>
  askRedis((client) => client.xgroup("CREATE", key, group, "0", "MKSTREAM")).pipe(
    Effect.catch((error) => (repliedWith(error, "BUSYGROUP") ? Effect.void : Effect.fail(error)))
  )

const repliedWith = (error: RedisUnavailable, code: "NOGROUP" | "BUSYGROUP"): boolean =>
  error.cause instanceof Error && error.cause.message.startsWith(code)

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

const entriesOf = (raw: ReadonlyArray<RawEntry | null>): ReadonlyArray<StreamEntry> =>
  raw.flatMap((entry) =>
    entry === null ? [] : [{ streamId: entry[0], event: entry[1] === null ? undefined : eventOf(entry[1]) }]
  )

/** Decodes an entry's fields; `undefined` when the relay has not written them. */
export const eventOf = (fields: ReadonlyArray<string>): OutboxEvent | undefined => {
  const byName = new Map<string, string>()
  for (let at = 0; at + 1 < fields.length; at += 2) byName.set(fields[at]!, fields[at + 1]!)
  const eventId = Number(byName.get("event"))
  const topic = byName.get("topic")
  const payload = byName.get("payload")
  if (!Number.isSafeInteger(eventId) || topic === undefined || payload === undefined) return undefined
  return { eventId, topic, payload: JSON.parse(payload) as OutboxEvent["payload"] }
}
