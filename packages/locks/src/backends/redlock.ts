import { Effect, type Scope } from "effect"
import { type LockOptions, RedlockMutex } from "redis-semaphore"
import type { BackendOptions, LockBackend, LockRequest } from "../backend.ts"
import { makeBreaker, RedisUnavailable } from "../redis/breaker.ts"
import { probe, type RedisClient } from "../redis/client.ts"
import { pollingBackend } from "./polling.ts"

const DEFAULT_ANSWER_WITHIN_MS = 1_000

/**
 * A mutex that a majority of independent Redis servers has to grant (redis-semaphore's `RedlockMutex`), so it survives
 * the loss of a minority.
 *
 * `RedlockMutex` accepts a majority however long it took to answer. Here that time is subtracted from the lease, as the
 * algorithm demands (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/), and a lock whose lease
 * is over by then counts as not acquired.
 */
export const redlockBackend = (
  clients: ReadonlyArray<RedisClient>,
  { answerWithinMs = DEFAULT_ANSWER_WITHIN_MS }: BackendOptions = {}
): Effect.Effect<LockBackend, never, Scope.Scope> => {
  const lockOf = ({ key }: LockRequest, options: LockOptions) => new RedlockMutex([...clients], key, options)
  return Effect.flatMap(makeBreaker(probeMajority(clients, answerWithinMs)), (breaker) =>
    pollingBackend({
      ...breaker,
      answerWithinMs,
      lockOf,
      giveBack: async (request, identifier) => {
        await lockOf(request, { identifier, acquiredExternally: true }).release()
        return "unknown"
      },
      // Clocks may drift by a hundredth of the lease, and Redis rounds an expiry by up to 2 ms.
      driftMs: (leaseMs) => leaseMs / 100 + 2
    })
  )
}

const probeMajority = (
  clients: ReadonlyArray<RedisClient>,
  answerWithinMs: number
): Effect.Effect<void, RedisUnavailable> =>
  Effect.forEach(clients, (client) => Effect.option(probe(client, answerWithinMs)), {
    concurrency: "unbounded"
  }).pipe(
    Effect.flatMap((answers) =>
      answers.filter(({ _tag }) => _tag === "Some").length > clients.length / 2
        ? Effect.void
        : Effect.fail(new RedisUnavailable({ cause: new Error("no majority of the servers answers") }))
    )
  )
