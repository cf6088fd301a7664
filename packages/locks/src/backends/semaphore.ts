import type { Effect, Scope } from "effect"
import { Semaphore } from "redis-semaphore"
import type { BackendOptions, LockBackend } from "../backend.ts"
import type { RedisClient, RedisStore } from "../redis/client.ts"
import { pollingBackend } from "./polling.ts"

const DEFAULT_ANSWER_WITHIN_MS = 1_000

/**
 * Counting semaphores: redis-semaphore's own, so they share keys and permits with its plain clients. They count leases
 * by the callers' clocks, which must agree to within a fraction of the lease, and waiters poll.
 */
export const semaphoreBackend = (
  { ask, client, isUp }: RedisStore["Service"],
  { answerWithinMs = DEFAULT_ANSWER_WITHIN_MS }: BackendOptions = {}
): Effect.Effect<LockBackend, never, Scope.Scope> =>
  pollingBackend({
    ask,
    isUp,
    answerWithinMs,
    lockOf: ({ key, leaseMs, permits }, options) => {
      const semaphore = new Semaphore(client, key, permits, options)
      return {
        tryAcquire: async () =>
          (await semaphore.tryAcquire()) ||
          ((await removeFalse(client, `semaphore:${key}`, leaseMs)) && (await semaphore.tryAcquire()))
      }
    },
    // `Semaphore.release` sends the same command but does not tell whether the permit was still there.
    giveBack: async ({ key }, identifier) =>
      (await client.zrem(`semaphore:${key}`, identifier)) === 1 ? "held" : "vanished",
    driftMs: () => 0
  })

/** Removes permits that could never expire, because no caller's clock has come to their time. Tells if there were any. */
const removeFalse = async (client: RedisClient, key: string, leaseMs: number): Promise<boolean> =>
  (await client.zremrangebyscore(key, `(${Date.now() + leaseMs}`, "+inf")) > 0
