import { Effect, Metric, type Scope } from "effect"

/** Keeps the callers of a store from waiting while the store is known to be away. */
export interface StoreBreaker<E> {
  /** Whether the store answers, as far as this process knows. */
  readonly isUp: () => boolean
  /** Fails at once while the store is away, with the failure that tripped the breaker. */
  readonly check: Effect.Effect<void, E>
  /** Makes the store count as away until a probe succeeds. */
  readonly trip: (failure: E) => Effect.Effect<void>
}

const PROBE_EVERY_MS = 200

const timesAway = Metric.counter("holdfast_lock_store_away_total", {
  description: "Times that Redis went away",
  incremental: true
})
const timesDatabaseAway = Metric.counter("holdfast_database_away_total", {
  description: "Times that the database went away",
  incremental: true
})

/**
 * Makes the breaker of one store. While the store is away a fiber of the scope probes it every 200 ms; the first success
 * brings it back. Half-open is this one probe: no caller is let through before it has succeeded.
 */
export const makeStoreBreaker = <E extends { readonly cause: unknown }>(
  store: "Redis" | "the database",
  probe: Effect.Effect<unknown, E>
): Effect.Effect<StoreBreaker<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const name = store === "Redis" ? "Redis" : "The database"
    let away: E | undefined
    const probeUntilBack: Effect.Effect<void> = Effect.sleep(PROBE_EVERY_MS).pipe(
      Effect.andThen(probe),
      Effect.matchEffect({
        onFailure: () => probeUntilBack,
        onSuccess: () => {
          away = undefined
          return Effect.logInfo(`${name} is back`)
        }
      })
    )
    return {
      isUp: () => away === undefined,
      check: Effect.suspend(() => (away === undefined ? Effect.void : Effect.fail(away))),
      trip: (failure) =>
        Effect.suspend(() => {
          if (away !== undefined) return Effect.void
          away = failure
          return Effect.forkIn(probeUntilBack, scope).pipe(
            Effect.andThen(Metric.update(store === "Redis" ? timesAway : timesDatabaseAway, 1)),
            Effect.andThen(
              Effect.logWarning(`${name} is away; calls fail at once until it is back`, failure.cause)
            ),
            Effect.uninterruptible
          )
        })
    }
  })
