import { RedisStore, type RedisUnavailable } from "@holdfast/locks"
import { Effect } from "effect"
import { RateLimiterRedis } from "rate-limiter-flexible"

/** How much a caller has used in a window, and when the window ends. */
export interface Usage {
  readonly used: number
  readonly resetMs: number
}

/** Counts that all processes share. */
export interface Counters {
  /** Adds to a count, below 0 to take back. A count that is not there begins a window of `windowMs`. */
  readonly add: (key: string, uses: number, windowMs: number) => Effect.Effect<Usage, RedisUnavailable>
}

/**
 * The library's script counts whatever it finds. This one begins anew where there is no count that it can have written:
 * another type, no whole number, one below 0, or one that would stay for longer than its window.
 */
const COUNT = `
local value = redis.pcall("GET", KEYS[1])
local ttl = redis.call("PTTL", KEYS[1])
local isCount = type(value) == "string" and #value <= 12 and string.match(value, "^%d+$")
if not isCount or ttl < 0 or ttl > ARGV[2] * 1000 then
  redis.call("DEL", KEYS[1])
  value = 0
  ttl = ARGV[2] * 1000
end
local used = math.max(0, value + ARGV[1])
redis.call("SET", KEYS[1], string.format("%d", used), "PX", math.max(1, ttl))
return {used, ttl}`

/** The counters in Redis. They fail while it is away. */
export const makeRedisCounters: Effect.Effect<Counters, never, RedisStore> = Effect.map(
  RedisStore,
  ({ ask, client }) => {
    const limiter = new RateLimiterRedis({
      storeClient: client,
      keyPrefix: "",
      // The windows and limits of its counters differ, and come with each call.
      points: 1,
      duration: 1,
      customIncrTtlLuaScript: COUNT
    })
    return {
      add: (key, uses, windowMs) =>
        ask(() =>
          limiter.penalty(key, uses, { customDuration: Math.max(1, Math.ceil(windowMs / 1_000)) })
        ).pipe(
          Effect.map(({ consumedPoints, msBeforeNext }) => ({ used: consumedPoints, resetMs: msBeforeNext }))
        )
    }
  }
)
