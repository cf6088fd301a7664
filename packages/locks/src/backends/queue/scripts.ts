/**
 * The protocol, as four scripts. Each runs alone in Redis, so what it decides is decided for everybody. They own the
 * lock the way redis-semaphore does (`mutex:<key>` holds the owner's identifier, with the lease as its expiry), so its
 * plain clients exclude these and are excluded by them; the queue and the token are beside it.
 *
 * An identifier is `<channel of the process>/<number>`. Handing over means: set the key to the next identifier, then
 * tell its process. A channel without receivers belongs to a process that is gone, so its waiter is skipped.
 */
import { Cluster } from "ioredis"
import type { LockKeys } from "./keys.ts"
import type { RedisClient } from "../../redis/client.ts"

/** The last token of a key is kept for this long: the clock of Redis would have to go back by more to repeat one. */
const TOKEN_TTL_MS = 60_000

/** A longer line is not worth joining. */
const LONGEST_LINE = 20_000

/** In a cluster nobody can count receivers: a lock that was handed over is short until its owner renews it. */
const CLUSTER_GRANT_MS = 2_000

/** What the scripts do alike. A lock that is free and has no line should cost few calls, so the clock is read last. */
const prelude = (isCluster: boolean): string => `
local mutex, queue, tokens = KEYS[1], KEYS[2], KEYS[3]
local id, leaseMs = ARGV[1], ARGV[2]
local time

local function nowMs()
  time = time or redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Rises for ever: with the clock, and by one where the clock stands still or goes back.
local function mint()
  time = time or redis.call('TIME')
  local token = time[1] * 1000000 + time[2]
  local text = string.format('%.0f', token)
  local previous = redis.call('SET', tokens, text, 'PX', ${TOKEN_TTL_MS}, 'GET')
  if not previous or tonumber(previous) < token then return text end
  text = string.format('%.0f', previous + 1)
  redis.call('SET', tokens, text, 'PX', ${TOKEN_TTL_MS})
  return text
end

-- Makes the first live waiter the owner, and returns it; 'me' needs no message. Returns false when nobody is left.
local function handOver(me)
  local token
  while true do
    local waiter = redis.call('LPOP', queue)
    if not waiter or waiter == me then return waiter end
    token = token or mint()
    local grantMs = ${isCluster ? `math.min(leaseMs, ${CLUSTER_GRANT_MS})` : "leaseMs"}
    local grant = string.match(waiter, '[^/]+$') .. ' ' .. token .. ' ' .. string.format('%.0f', nowMs()) .. ' ' .. grantMs .. ' ' .. mutex
    local receivers = redis.call('PUBLISH', string.match(waiter, '^(.*)/'), grant)
    if ${isCluster ? "true" : "receivers > 0"} then
      redis.call('SET', mutex, waiter, 'PX', grantMs)
      return waiter
    end
  end
end
`

/** Replies {1, token, nowMs}: owned. {0, owner, leaseLeftMs}: busy. {2, owner, leaseLeftMs, place, nowMs}: in line. */
const acquire = `
local mayWait, isQueued, queueTtlMs = ARGV[3], ARGV[4], tonumber(ARGV[5])
local owner = redis.call('SET', mutex, id, 'NX', 'GET', 'PX', leaseMs)
if owner == id then
  redis.call('PEXPIRE', mutex, leaseMs)
  return {1, redis.call('GET', tokens) or mint(), nowMs()}
end
if not owner then
  owner = handOver(id)
  if not owner or owner == id then return {1, mint(), nowMs()} end
end
local leaseLeftMs = redis.call('PTTL', mutex)
if mayWait == '0' then return {0, owner, leaseLeftMs} end
local before = isQueued == '1' and redis.call('LPOS', queue, id)
if not before then
  before = redis.call('LLEN', queue)
  if before >= ${LONGEST_LINE} then return {3, owner, before + 1} end
  redis.call('RPUSH', queue, id)
  if redis.call('PTTL', queue) < queueTtlMs then redis.call('PEXPIRE', queue, queueTtlMs) end
end
return {2, owner, leaseLeftMs, before + 1, nowMs()}
`

/** Replies {1}: free now. {2}: handed over. {0, owner}: it was not ours any more; the owner is '' for nobody. */
const release = `
local owner = redis.call('GET', mutex)
if owner ~= id then return {0, owner or ''} end
if handOver() then return {2} end
redis.call('DEL', mutex)
return {1}
`

/**
 * Leaves the line, and gives the lock on if it came meanwhile; with mayKeep it is kept then.
 * Replies {1, token, nowMs}: kept. {0, owner, place}: left, with '' for nobody and 0 for not in line.
 */
const leave = `
local mayKeep = ARGV[3]
local owner = redis.call('GET', mutex)
if owner == id then
  if mayKeep == '1' then
    redis.call('PEXPIRE', mutex, leaseMs)
    return {1, redis.call('GET', tokens) or mint(), nowMs()}
  end
  if not handOver() then redis.call('DEL', mutex) end
  return {0, '', 0}
end
local before = mayKeep == '1' and redis.call('LPOS', queue, id)
redis.call('LREM', queue, 1, id)
return {0, owner or '', before and before + 1 or 0}
`

/** Replies {owner, leaseLeftMs, token, nowMs, waiter...}, or {} when nobody holds the key. */
const inspect = `
local owner = redis.call('GET', KEYS[1])
if not owner then return {} end
local time = redis.call('TIME')
local reply = {owner, redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[3]) or '', time[1] * 1000 + math.floor(time[2] / 1000)}
for _, waiter in ipairs(redis.call('LRANGE', KEYS[2], 0, ARGV[1] - 1)) do reply[#reply + 1] = waiter end
return reply
`

type Reply = ReadonlyArray<string | number>
type Script = (keys: LockKeys, ...parameters: ReadonlyArray<string | number>) => Promise<Reply>

/** The scripts, bound to a client: sent by their digest, and whole where a server does not know them yet. */
export interface LockScripts {
  readonly acquire: Script
  readonly release: Script
  readonly leave: Script
  readonly inspect: Script
}

type Command = (...keysAndParameters: ReadonlyArray<string | number>) => Promise<Reply>

export const lockScripts = (client: RedisClient): LockScripts => {
  const common = prelude(client instanceof Cluster)
  const bind = (name: string, lua: string): Script => {
    client.defineCommand(name, { numberOfKeys: 3, lua })
    const command = (client as unknown as Record<string, Command>)[name]?.bind(client) as Command
    return (keys, ...parameters) => command(keys.mutex, keys.queue, keys.token, ...parameters)
  }
  return {
    acquire: bind("holdfastLockAcquire", common + acquire),
    release: bind("holdfastLockRelease", common + release),
    leave: bind("holdfastLockLeave", common + leave),
    inspect: bind("holdfastLockInspect", inspect)
  }
}
