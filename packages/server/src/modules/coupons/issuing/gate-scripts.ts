import type { RedisClient } from "@holdfast/locks"

/**
 * The gate of a campaign in Redis, as scripts. Each runs alone in Redis, so what it decides is decided for everybody.
 *
 * There is no counter that could drift. Free is what is left of the quantity after those who have a coupon and those
 * who hold a reservation; both are sets of users, so every step may be repeated, come late or come twice. Who has a
 * coupon keeps it, so the first set only grows: writing into it what the database says is right at any moment, also
 * while coupons are being issued.
 *
 * KEYS: the campaign's facts (hash), who has a coupon (set), who holds a reservation (sorted by its deadline).
 */
const prelude = `
local facts, holders, reserved = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** ARGV: user, how long the reservation lasts. Replies with a verdict. */
const reserve = `${prelude}
local user, reservationMs = ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', facts, 'quantity', 'startsAt', 'endsAt')
if not known[1] then return 'missing' end
if redis.call('SISMEMBER', holders, user) == 1 or redis.call('ZSCORE', reserved, user) then return 'known' end
if nowMs < tonumber(known[2]) or nowMs >= tonumber(known[3]) then return 'closed' end
if redis.call('SCARD', holders) + redis.call('ZCARD', reserved) >= tonumber(known[1]) then return 'full' end
redis.call('ZADD', reserved, string.format('%.0f', nowMs + reservationMs), user)
return 'reserved'
`

/**
 * ARGV: how long a set lives that no gate belongs to, then users who have a coupon. It is kept even where the gate is
 * missing: whoever builds it from an older look at the database must not lose it.
 */
const confirm = `${prelude}
for i = 2, #ARGV do
  redis.call('ZREM', reserved, ARGV[i])
  redis.call('SADD', holders, ARGV[i])
end
if redis.call('EXISTS', facts) == 0 then redis.call('PEXPIRE', holders, ARGV[1]) end
return 'done'
`

/**
 * ARGV: '' for any, or for overdue ones only the longest time to a deadline; then users whose reservation is over.
 * A deadline that is further away than any can be comes from a clock that was ahead, so it is overdue too.
 */
const release = `${prelude}
local latest = ARGV[1] ~= '' and nowMs + ARGV[1]
for i = 2, #ARGV do
  local deadline = tonumber(redis.call('ZSCORE', reserved, ARGV[i]) or 'nan')
  if not latest or deadline <= nowMs or deadline > latest then redis.call('ZREM', reserved, ARGV[i]) end
end
return 'done'
`

/**
 * The last step of building a gate. ARGV: quantity, startsAt, endsAt, when all of it may be forgotten, how many holders
 * were written before. Replies 'again' when some of those are gone: Redis was flushed in between.
 */
const open = `${prelude}
if redis.call('SCARD', holders) < tonumber(ARGV[5]) then return 'again' end
redis.call('HSET', facts, 'quantity', ARGV[1], 'startsAt', ARGV[2], 'endsAt', ARGV[3])
for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], ARGV[4]) end
return 'open'
`

/**
 * ARGV: the longest time to a deadline, and how many overdue users to name.
 * Replies {quantity or '', holders, reservations, overdue users}.
 */
const look = `${prelude}
local past = string.format('%.0f', nowMs)
local future = '(' .. string.format('%.0f', nowMs + ARGV[1])
local overdue = redis.call('ZRANGE', reserved, '-inf', past, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, user in ipairs(redis.call('ZRANGE', reserved, future, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  overdue[#overdue + 1] = user
end
return {redis.call('HGET', facts, 'quantity') or '', redis.call('SCARD', holders), redis.call('ZCARD', reserved), overdue}
`

/** A script as a function of a campaign's three keys and its arguments. */
export type GateScript = (
  keys: readonly [string, string, string],
  ...args: ReadonlyArray<string | number>
) => Promise<unknown>

/** The scripts, bound to a client: sent by their digest, and whole where a server does not know them yet. */
export const gateScripts = (client: RedisClient) => {
  const bind = (name: string, lua: string): GateScript => {
    client.defineCommand(name, { numberOfKeys: 3, lua })
    type Command = (...args: ReadonlyArray<string | number>) => Promise<unknown>
    const command = (client as unknown as Record<string, Command>)[name]?.bind(client) as Command
    return (keys, ...args) => command(...keys, ...args)
  }
  return {
    reserve: bind("holdfastCouponReserve", reserve),
    confirm: bind("holdfastCouponConfirm", confirm),
    release: bind("holdfastCouponRelease", release),
    open: bind("holdfastCouponOpen", open),
    look: bind("holdfastCouponLook", look)
  }
}
