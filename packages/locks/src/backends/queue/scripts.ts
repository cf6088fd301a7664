/**
 * The protocol as scripts, which Redis runs one at a time. They own a lock the way redis-semaphore does
 * (`mutex:<key>` holds the owner's identifier and expires with the lease), so its plain clients and these exclude each
 * other. The queue and the last token are kept in two keys beside it.
 *
 * An identifier is `<channel of the process>/<number>`. To hand a lock over, a script sets the key to the next
 * identifier and publishes to its process. A channel without receivers belongs to a dead process, whose waiter is skipped.
 */
import keySlot from "cluster-key-slot"
import { createHash } from "node:crypto"
import type { RedisClient } from "../../redis/client.ts"
import { isCluster } from "../../redis/is-cluster.ts"
import { defineScripts } from "../../redis/scripts.ts"

/**
 * How long the last token of a key is kept. Only a clock that goes back by more could repeat a token; a token further
 * ahead of the clock than this was not minted here.
 */
export const TOKEN_TTL_MS = 60_000

const LONGEST_QUEUE = 20_000

/**
 * A plain redis-semaphore client may hold a key for this long at a time. A key that would live longer, or for ever, was
 * written by somebody else, and gets the lease of the caller who finds it.
 */
const LONGEST_LEASE_MS = 60_000

/** How waiters' identifiers begin: with the channel of their process. */
export const CHANNEL_PREFIX = "holdfast:locks:"

/** A cluster cannot count receivers on all nodes, so there a handed-over lock is short until its owner renews it. */
const CLUSTER_GRANT_MS = 2_000

/** Shared by the scripts. The clock is read only when needed, so that a free lock without a queue costs few calls. */
const prelude = (isCluster: boolean): string => `
local mutex, queue, tokens = KEYS[1], KEYS[2], KEYS[3]
local id, leaseMs = ARGV[1], ARGV[2]
local time

local function nowMs()
  time = time or redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function clock()
  time = time or redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function isToken(number)
  return number and number > 0 and number <= clock() + ${TOKEN_TTL_MS * 1_000}
end

-- Always greater than the one before: follows the clock, and adds one where the clock stands still or goes back.
local function mint()
  local text = string.format('%.0f', clock())
  local previous = tonumber(redis.call('SET', tokens, text, 'PX', ${TOKEN_TTL_MS}, 'GET') or '')
  if not isToken(previous) or previous < clock() then return text end
  text = string.format('%.0f', previous + 1)
  redis.call('SET', tokens, text, 'PX', ${TOKEN_TTL_MS})
  return text
end

-- The token of the owner, who asks again because the reply got lost.
local function tokenOfOwner()
  local text = redis.call('GET', tokens)
  return text and isToken(tonumber(text)) and text or mint()
end

-- Makes the first live waiter the owner and returns it; 'me' needs no message. Returns false when the queue is empty.
local function handOver(me)
  local token
  while true do
    local waiter = redis.call('LPOP', queue)
    if not waiter or waiter == me then return waiter end
    local channel, number = string.match(waiter, '^(${CHANNEL_PREFIX}.+)/(%d+)$')
    if channel then
      token = token or mint()
      local grantMs = ${isCluster ? `math.min(leaseMs, ${CLUSTER_GRANT_MS})` : "leaseMs"}
      local grant = number .. ' ' .. token .. ' ' .. string.format('%.0f', nowMs()) .. ' ' .. grantMs .. ' ' .. mutex
      local receivers = redis.call('PUBLISH', channel, grant)
      if ${isCluster ? "true" : "receivers > 0"} then
        redis.call('SET', mutex, waiter, 'PX', grantMs)
        return waiter
      end
    end
  end
end
`

/** Replies {1, token, nowMs}: owned. {0, owner, leaseLeftMs}: busy. {2, owner, leaseLeftMs, place, nowMs}: queued. {3, owner, place}: the queue is full. */
const acquire = `
local mayWait, isQueued, queueTtlMs = ARGV[3], ARGV[4], tonumber(ARGV[5])
local owner = redis.call('SET', mutex, id, 'NX', 'GET', 'PX', leaseMs)
if owner == id then
  redis.call('PEXPIRE', mutex, leaseMs)
  return {1, tokenOfOwner(), nowMs()}
end
if not owner then
  owner = handOver(id)
  if not owner or owner == id then return {1, mint(), nowMs()} end
end
local leaseLeftMs = redis.call('PTTL', mutex)
if leaseLeftMs < 0 or leaseLeftMs > math.max(leaseMs, ${LONGEST_LEASE_MS}) then
  redis.call('PEXPIRE', mutex, leaseMs)
  leaseLeftMs = tonumber(leaseMs)
end
if mayWait == '0' then return {0, owner, leaseLeftMs} end
local before = isQueued == '1' and redis.call('LPOS', queue, id)
if not before then
  before = redis.call('LLEN', queue)
  if before >= ${LONGEST_QUEUE} then return {3, owner, before + 1} end
  redis.call('RPUSH', queue, id)
  if redis.call('PTTL', queue) < queueTtlMs then redis.call('PEXPIRE', queue, queueTtlMs) end
end
return {2, owner, leaseLeftMs, before + 1, nowMs()}
`

/** Replies {1}: free now. {2}: handed over. {0, owner}: the caller no longer owned it; the owner is '' when there is none. */
const release = `
local owner = redis.call('GET', mutex)
if owner ~= id then return {0, owner or ''} end
if handOver() then return {2} end
redis.call('DEL', mutex)
return {1}
`

/**
 * Leaves the queue. A lock that was handed to the caller meanwhile is kept with mayKeep, else passed on.
 * Replies {1, token, nowMs}: kept. {0, owner, place}: left; the owner is '' when there is none, the place 0 if unknown.
 */
const leave = `
local mayKeep = ARGV[3]
local owner = redis.call('GET', mutex)
if owner == id then
  if mayKeep == '1' then
    redis.call('PEXPIRE', mutex, leaseMs)
    return {1, tokenOfOwner(), nowMs()}
  end
  if not handOver() then redis.call('DEL', mutex) end
  return {0, '', 0}
end
local before = mayKeep == '1' and redis.call('LPOS', queue, id)
redis.call('LREM', queue, 1, id)
return {0, owner or '', before and before + 1 or 0}
`

/** Replies {owner, leaseLeftMs, token, nowMs, waiter...}, or {} when the key is free. */
const inspect = `
local owner = redis.call('GET', KEYS[1])
if not owner then return {} end
local time = redis.call('TIME')
local reply = {owner, redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[3]) or '', time[1] * 1000 + math.floor(time[2] / 1000)}
for _, waiter in ipairs(redis.call('LRANGE', KEYS[2], 0, ARGV[1] - 1)) do reply[#reply + 1] = waiter end
return reply
`

/** Removes what is under a lock's keys and has another type. */
const clear = `
for i, expected in ipairs({'string', 'list', 'string'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= expected then redis.call('DEL', KEYS[i]) end
end
`

/** The fields of a reply; see the scripts. */
export type Reply = ReadonlyArray<string | number>

/** Registers the scripts on a client. */
export const lockScripts = (client: RedisClient) => {
  const common = prelude(isCluster(client))
  return defineScripts(client, "holdfastLock", {
    acquire: { numberOfKeys: 3, lua: common + acquire },
    release: { numberOfKeys: 3, lua: common + release },
    leave: { numberOfKeys: 3, lua: common + leave },
    inspect: { numberOfKeys: 3, lua: inspect },
    clear: { numberOfKeys: 3, lua: clear }
  })
}

/** The protocol's scripts on one client. */
export type LockScripts = ReturnType<typeof lockScripts>

/** The keys in Redis of one lock. All are in one slot of a cluster, so that a script may use them together. */
export type LockKeys = readonly [
  /** redis-semaphore's own key: holds the owner's identifier. */
  mutex: string,
  /** A list of the waiters' identifiers, the next one at its head. */
  queue: string,
  /** The last token, kept for a while. */
  token: string
]

export const lockKeys = (key: string): LockKeys => keysOfMutex(`mutex:${key}`)

export const keysOfMutex = (mutex: string): LockKeys => {
  const tagged = inSlotOf(mutex)
  return [mutex, `holdfast:queue:${tagged}`, `holdfast:token:${tagged}`]
}

/** Longer names are digested where they outlive the lock: its token is kept for a minute. */
const LONGEST_NAME = 512

/** The name, written so that it is hashed to its own slot even behind a prefix. */
const inSlotOf = (name: string): string => {
  if (name.length > LONGEST_NAME)
    return `{${numberBySlot[slotOf(name)]}}:sha256:${createHash("sha256").update(name).digest("hex")}`
  if (hashTag(name) !== undefined) return name
  return name.includes("}") ? `{${numberBySlot[slotOf(name)]}}:${name}` : `{${name}}`
}

/** What Redis Cluster hashes in place of the whole key: the text in the first pair of braces, unless it is empty. */
const hashTag = (key: string): string | undefined => /^[^{]*\{([^}]+)\}/.exec(key)?.[1]

const OPENING_BRACE = 0x7b

/**
 * Redis Cluster's slot of a key (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
 * `cluster-key-slot` sees a hash tag in `{}…}`, so it gets the text without opening braces. CRC-16 is linear, so the slot
 * of the bits that this changed corrects the result.
 */
export const slotOf = (key: string): number => {
  const bytes = Buffer.from(hashTag(key) ?? key)
  if (!bytes.includes(OPENING_BRACE)) return keySlot(bytes)
  const changed = bytes.map((byte) => (byte === OPENING_BRACE ? 1 : 0))
  return keySlot(Buffer.from(bytes.map((byte, at) => byte ^ changed[at]!))) ^ keySlot(Buffer.from(changed))
}

/** Of all numbers below this one, some text is hashed to each of the slots. */
const NUMBERS = 109_758

/** The code of the digit 0. */
const ZERO = 0x30

/** CRC-16 (XMODEM, as in Redis Cluster's specification) of each byte. */
const crcOfByte = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : ((crc << 1) ^ 0x1021) & 0xffff
  return crc
})

/**
 * The smallest number whose text is hashed to each slot: the tag for a name that cannot be one itself. The CRC of a
 * number continues that of its first digits, so all of them together cost a few milliseconds, when a process starts.
 */
const numberBySlot = (() => {
  const numbers = new Int32Array(16_384).fill(-1)
  const crcs = new Uint16Array(NUMBERS)
  for (let number = 0; number < NUMBERS; number += 1) {
    const digit = number % 10
    const before = number < 10 ? 0 : crcs[(number - digit) / 10]!
    const crc = ((before << 8) ^ crcOfByte[(before >> 8) ^ (ZERO + digit)]!) & 0xffff
    crcs[number] = crc
    if (numbers[crc % 16_384] === -1) numbers[crc % 16_384] = number
  }
  return numbers
})()
