import type { Effect, Scope } from "effect"
import { Semaphore } from "redis-semaphore"
import type { BackendOptions, LockBackend } from "../backend.ts"
import type { RedisStore } from "../redis/client.ts"
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
    lockOf: ({ key, permits }, options) => new Semaphore(client, key, permits, options),
    // `Semaphore.release` sends the same command but does not tell whether the permit was still there.
    giveBack: async ({ key }, identifier) =>
      (await client.zrem(`semaphore:${key}`, identifier)) === 1 ? "held" : "vanished",
    driftMs: () => 0
  })
