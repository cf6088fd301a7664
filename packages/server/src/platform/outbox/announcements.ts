import { askRedis } from "@holdfast/locks"
import { Effect } from "effect"
import { KeyNamespace } from "../db/key-namespace.ts"

/** Announcements that the stream keeps, about. A consumer that misses some looks into the database all the same. */
const KEPT = 1_000

/** Numbers that a consumer reads at a time. */
const READ = 100

/** The Redis stream of a key namespace that says that events were published. Nobody believes it more than that. */
const streamOf = (prefix: string): string => `${prefix}events`

/**
 * KEYS: the stream. ARGV: how many announcements to keep, then the numbers. A stream that takes no entry, because it is
 * another type or has used up its ids, starts anew.
 */
const ANNOUNCE = `
local function add(number)
  return redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', number)
end
for i = 2, #ARGV do
  local reply = add(ARGV[i])
  if type(reply) == 'table' and reply.err then
    redis.call('DEL', KEYS[1])
    reply = add(ARGV[i])
    if type(reply) == 'table' and reply.err then return reply end
  end
end
return 'OK'`

/** Announces published events by their numbers. Fails with `RedisUnavailable`. */
export const announce = Effect.fnUntraced(function* (numbers: ReadonlyArray<number>) {
  const { prefix } = yield* KeyNamespace
  const stream = streamOf(yield* prefix)
  yield* askRedis((client) => client.eval(ANNOUNCE, 1, stream, KEPT, ...numbers))
})

/**
 * KEYS: the stream. ARGV: the last entry seen ('': none), how many numbers to read. Returns the last entry's id, then the
 * numbers of the entries after the one seen. It cuts them: an entry may be as long as whoever wrote it pleased.
 */
const READ_AFTER = `
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return {''} end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local answer = {last and last[1] or ''}
if ARGV[1] == '' or ARGV[1] == answer[1] then return answer end
local entries = redis.pcall('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  local number = ''
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'event' then number = entry[2][i + 1] end
  end
  answer[#answer + 1] = string.sub(number, 1, 20)
end
return answer`

interface Announcements {
  /** The last entry of the stream; empty when there is none. */
  readonly last: string
  /** What the entries since `seen` name as numbers of events: any text of up to 20 characters. */
  readonly numbers: ReadonlyArray<string>
}

/** Reads what was announced after the entry `seen` ("": only the last entry's id). Fails with `RedisUnavailable`. */
export const announcedAfter = Effect.fnUntraced(function* (seen: string) {
  const { prefix } = yield* KeyNamespace
  const stream = streamOf(yield* prefix)
  const reply = yield* askRedis((client) => client.eval(READ_AFTER, 1, stream, seen, READ))
  const [last = "", ...numbers] = (reply as ReadonlyArray<unknown>).map(String)
  return { last, numbers } satisfies Announcements
})
