import { defineScripts, type RedisClient } from "@holdfast/locks"

/**
 * The gate of a campaign in Redis, as scripts. Redis runs one script at a time, so each decision is atomic.
 *
 * No counter can drift. Free slots are the quantity minus the users with a coupon and the users with a reservation; both
 * are sets, so every step is idempotent and may come late. A coupon stays with its user, so the first set only grows:
 * adding what the database says is right at any moment, also during a sale.
 *
 * KEYS: the campaign's facts (hash), the users with a coupon (set), the users with a reservation (sorted by deadline).
 */
const keys = `
local facts, holders, reserved = KEYS[1], KEYS[2], KEYS[3]
`
const clock = `
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
`
const prelude = keys + clock

/** ARGV: user, length of the reservation in ms. Replies with a verdict. */
const reserve = `${prelude}
local user, reservationMs = ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', facts, 'quantity', 'startsAt', 'endsAt')
local quantity, startsAt, endsAt = tonumber(known[1] or ''), tonumber(known[2] or ''), tonumber(known[3] or '')
if not (quantity and startsAt and endsAt) then return 'missing' end
if redis.call('SISMEMBER', holders, user) == 1 then return 'known' end
if redis.call('ZSCORE', reserved, user) then return 'pending' end
if nowMs < startsAt or nowMs >= endsAt then return 'closed' end
if redis.call('SCARD', holders) + redis.call('ZCARD', reserved) >= quantity then return 'full' end
redis.call('ZADD', reserved, string.format('%.0f', nowMs + reservationMs), user)
return 'reserved'
`

/**
 * ARGV: lifetime in ms of a set without a gate, then users with a coupon. They are added even while the gate is missing:
 * a rebuild from an older read of the database must not lose them.
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
 * ARGV: '' for any reservation, or the longest time to a deadline in ms for overdue ones only; then users. A deadline
 * beyond that time comes from a clock that was ahead, so it counts as overdue, too.
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
 * The last step of a rebuild. ARGV: quantity, startsAt, endsAt, when the keys expire, how many users with a coupon were
 * written before. Replies 'again' when some of them are gone, because Redis was flushed in between.
 */
const open = `${prelude}
if redis.call('SCARD', holders) < tonumber(ARGV[5]) then return 'again' end
redis.call('HSET', facts, 'quantity', ARGV[1], 'startsAt', ARGV[2], 'endsAt', ARGV[3])
for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], ARGV[4]) end
return 'open'
`

/**
 * ARGV: the longest time to a deadline in ms, how many overdue users to name, how many users with a coupon to name.
 * Replies {users with a coupon, reservations, overdue users, some users with a coupon, quantity, startsAt, endsAt}; a
 * fact is '' when it is missing.
 */
const look = `${keys}
local overdue, some = {}, {}
local reservations = redis.call('ZCARD', reserved)
if reservations > 0 then${clock}
  local past = string.format('%.0f', nowMs)
  local future = '(' .. string.format('%.0f', nowMs + ARGV[1])
  overdue = redis.call('ZRANGE', reserved, '-inf', past, 'BYSCORE', 'LIMIT', 0, ARGV[2])
  for _, user in ipairs(redis.call('ZRANGE', reserved, future, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
    overdue[#overdue + 1] = user
  end
end
if ARGV[3] ~= '0' then some = redis.call('SRANDMEMBER', holders, ARGV[3]) end
local known = redis.call('HMGET', facts, 'quantity', 'startsAt', 'endsAt')
return {redis.call('SCARD', holders), reservations, overdue, some, known[1] or '', known[2] or '', known[3] or ''}
`

/** The scripts of the gate on a client. Each takes the three keys of a campaign, then its arguments. */
export const gateScripts = (client: RedisClient) =>
  defineScripts(client, "holdfast.gate", {
    reserve: { numberOfKeys: 3, lua: reserve },
    confirm: { numberOfKeys: 3, lua: confirm },
    release: { numberOfKeys: 3, lua: release },
    open: { numberOfKeys: 3, lua: open },
    look: { numberOfKeys: 3, lua: look }
  })
