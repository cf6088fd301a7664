import { Context, Effect, Layer, RcMap, Scope, Semaphore } from "effect"

/** Transactions of one resource that a process runs at once. */
const AT_ONCE = 4

/**
 * Bounds the transactions that wait for the same row. They would run one after the other anyway, and each one that
 * waits holds a connection; the rest of the shop needs those.
 */
export class Bulkheads extends Context.Service<
  Bulkheads,
  {
    /** Runs the transaction when fewer than 4 others of this resource run. */
    readonly within: (
      resource: string
    ) => <A, E, R>(transaction: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("@holdfast/server/Bulkheads") {
  static readonly layer: Layer.Layer<Bulkheads> = Layer.effect(
    Bulkheads,
    Effect.map(RcMap.make({ lookup: (_resource: string) => Semaphore.make(AT_ONCE) }), (permits) => ({
      within: (resource) => (transaction) =>
        Effect.scopedWith((scope) =>
          RcMap.get(permits, resource).pipe(
            Effect.provideService(Scope.Scope, scope),
            Effect.flatMap((semaphore) => semaphore.withPermits(1)(transaction))
          )
        )
    }))
  )
}
