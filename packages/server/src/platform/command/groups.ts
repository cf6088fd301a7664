import type { ServiceUnavailable } from "@holdfast/domain"
import { lockContext } from "@holdfast/locks"
import { Context, Deferred, Effect, Layer, Semaphore } from "effect"
import { currentSpan } from "../telemetry/traces.ts"
import { busy, DEADLINE_MS, leave, makeMember } from "./member.ts"
import type { GroupKind } from "./kind.ts"
import { Queues } from "./queues.ts"

export { Blocked, BRIEFLY_MS, type Ending, type GroupKind, type HeldRows } from "./kind.ts"

/** Transactions of a process that wait for rows which others hold. The rest of the shop needs the connections. */
const WAITING_FOR_ROWS = 4

/**
 * Lets calls share transactions. All calls that wait in a queue when its last transaction has committed form the next
 * group; a lone call waits for nobody. The transaction runs under the locks of all its callers. See
 * docs/adr/0013-calls-share-transactions.md.
 */
export class Groups extends Context.Service<
  Groups,
  {
    /**
     * Runs the call in the next transaction of the queue. An interrupted caller leaves the queue at once. While its
     * transaction runs, it waits for the end, because its locks must outlive the transaction, which is rolled back when
     * all of its callers have left. A full queue fails with `ServiceUnavailable`.
     */
    readonly join: <C, A, E, R>(
      kind: GroupKind<C, A, E, R>,
      queue: string,
      call: C
    ) => Effect.Effect<A, E | ServiceUnavailable, R>
    /**
     * Runs the transaction of one call of a command that shares none. A few calls of each command at a time: it may wait
     * for a row with a connection in its hand, and those who wait for the same row may not take them all.
     */
    readonly alone: <A, E, R>(
      name: string,
      transaction: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | ServiceUnavailable, R>
    /** How long the first call of all queues has been waiting; those that wait for a row which others hold do not count. */
    readonly waitMs: () => number
  }
>()("@holdfast/server/Groups") {
  static readonly layer: Layer.Layer<Groups> = Layer.effect(
    Groups,
    Effect.gen(function* () {
      const queues = new Queues(yield* Effect.scope, yield* Semaphore.make(WAITING_FOR_ROWS))
      yield* Effect.addFinalizer(() => Effect.sync(() => queues.stop()))
      return {
        waitMs: () => queues.waitMs(),
        alone: makeBulkhead(),
        join: <C, A, E, R>(kind: GroupKind<C, A, E, R>, name: string, call: C) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(Effect.all([lockContext, currentSpan]), ([locks, span]) => {
              const member = makeMember<C, A, E>(call, locks, span)
              return Effect.andThen(
                queues.join(kind, name, member),
                Effect.onInterrupt(restore(Deferred.await(member.answer)), () => leave(member))
              )
            })
          )
      }
    })
  )
}

const makeBulkhead = (): Groups["Service"]["alone"] => {
  const permitsOf = new Map<string, Semaphore.Semaphore>()
  return (name, transaction) => {
    const permits = permitsOf.get(name) ?? Semaphore.makeUnsafe(WAITING_FOR_ROWS)
    permitsOf.set(name, permits)
    const taken = permits
      .take(1)
      .pipe(Effect.timeoutOrElse({ duration: DEADLINE_MS, orElse: () => Effect.fail(busy()) }))
    return Effect.uninterruptibleMask((restore) =>
      Effect.andThen(restore(taken), Effect.ensuring(restore(transaction), permits.release(1)))
    )
  }
}
