import { Effect } from "effect"
import { Cluster } from "ioredis"
import type { RedisClient } from "../../redis/client.ts"
import type { LockInfo, StoreAway } from "../../backend.ts"
import { call } from "../../redis/call.ts"
import { lockKeys } from "./keys.ts"
import type { LockScripts } from "./scripts.ts"

const KEYS_A_SCAN = 500
const NAMED_WAITERS = 100

/** Every held lock with its line. For people: it scans all keys of the database, a batch at a time. */
export const inspectLocks = (
  client: RedisClient,
  scripts: LockScripts,
  limit: number,
  answerWithinMs: number
): Effect.Effect<ReadonlyArray<LockInfo>, StoreAway> =>
  Effect.gen(function* () {
    const found: Array<LockInfo> = []
    for (const node of client instanceof Cluster ? client.nodes("master") : [client]) {
      let cursor = "0"
      do {
        const [next, mutexes] = yield* call(
          () => node.scan(cursor, "MATCH", "mutex:*", "COUNT", KEYS_A_SCAN),
          answerWithinMs
        )
        cursor = next
        for (const mutex of mutexes) {
          if (found.length >= limit) return found
          const key = mutex.slice("mutex:".length)
          const reply = yield* call(() => scripts.inspect(lockKeys(key), NAMED_WAITERS), answerWithinMs)
          if (reply.length > 0 && !found.some((info) => info.key === key)) found.push(readInfo(key, reply))
        }
      } while (cursor !== "0")
    }
    return found
  })

const MICROSECONDS_A_MILLISECOND = 1_000

const readInfo = (
  key: string,
  [holder, leaseLeftMs, token, nowMs, ...queue]: ReadonlyArray<string | number>
): LockInfo => {
  // A token is the time at which it was minted, so it tells the age of the lock.
  const isOurs = isIdentifier(String(holder)) && token !== ""
  return {
    scope: null,
    key,
    holder: String(holder),
    token: isOurs ? Number(token) : null,
    ageMs: isOurs
      ? Math.max(0, Math.round(Number(nowMs) - Number(token) / MICROSECONDS_A_MILLISECOND))
      : null,
    leaseLeftMs: Number(leaseLeftMs) < 0 ? null : Number(leaseLeftMs),
    queue: queue.map(String)
  }
}

const CHANNEL_PREFIX = "holdfast:locks:"

/** Whether an owner is one of ours: plain redis-semaphore clients have UUIDs. */
export const isIdentifier = (holder: string): boolean => holder.startsWith(CHANNEL_PREFIX)
