import type { RedisClient } from "@holdfast/locks"

/** An event as its consumers get it: at least once, and those of one order in the order in which they happened. */
export interface OutboxEvent {
  /** The number of the outbox's row: the same in every delivery of this event. */
  readonly eventId: number
  readonly topic: string
  readonly payload: Readonly<Record<string, unknown>>
}

/** An entry of the stream: an event with the place that the stream gave it. */
export interface StreamEntry {
  readonly streamId: string
  readonly event: OutboxEvent
}

/** The stream that all events of an installation go through. */
export const streamKey = (prefix: string): string => `${prefix}events`

/** Consumers this far behind stop the relay: the events wait in the database, where nothing is lost. */
const MAXIMUM_LENGTH = 200_000

/**
 * KEYS: the stream. ARGV: the head that was remembered ("0-0": none), the maximum length, then topic, number and
 * payload of each event. Returns the ids of the new entries; or what the head really is when it is behind the one
 * remembered, for then Redis has lost entries and they must be published again first.
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

export type AddOutcome =
  | { readonly _tag: "Added"; readonly streamIds: ReadonlyArray<string> }
  | { readonly _tag: "Lost"; readonly head: string }
  | { readonly _tag: "Full" }

/** Adds events behind the remembered head, all of them or none. */
export const addEvents = async (
  client: RedisClient,
  key: string,
  rememberedHead: string,
  rows: ReadonlyArray<{ readonly id: number; readonly topic: string; readonly payload: string }>
): Promise<AddOutcome> => {
  const fields = rows.flatMap(({ id, payload, topic }) => [topic, String(id), payload])
  const reply = (await client.eval(ADD, 1, key, rememberedHead, MAXIMUM_LENGTH, ...fields)) as Array<string>
  const [verdict, ...rest] = reply
  if (verdict === "LOST") return { _tag: "Lost", head: rest[0] ?? "0-0" }
  return verdict === "FULL" ? { _tag: "Full" } : { _tag: "Added", streamIds: rest }
}

/** Reads an entry's fields; what was not written by {@link addEvents} is `undefined`. */
export const eventOf = (fields: ReadonlyArray<string>): OutboxEvent | undefined => {
  const byName = new Map<string, string>()
  for (let at = 0; at + 1 < fields.length; at += 2) byName.set(fields[at]!, fields[at + 1]!)
  const eventId = Number(byName.get("event"))
  const topic = byName.get("topic")
  const payload = byName.get("payload")
  if (!Number.isSafeInteger(eventId) || topic === undefined || payload === undefined) return undefined
  return { eventId, topic, payload: JSON.parse(payload) as OutboxEvent["payload"] }
}
