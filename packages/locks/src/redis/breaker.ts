import { Effect, type Scope } from "effect"
import type { LockBackend, StoreAway } from "../backend.ts"
import { storeWentAway } from "../metrics.ts"

/** Whether the store of the locks answers, as far as this process knows. */
export interface Availability {
  readonly isUp: () => boolean
  /** A call failed. When the store is away altogether, nobody asks it again until it answers a ping. */
  readonly report: (away: StoreAway) => Effect.Effect<void>
}

const PROBE_EVERY_MS = 200

/** The probe that brings the locks back runs in the scope, and only while the store is away. */
export const makeAvailability = (
  ping: LockBackend["ping"]
): Effect.Effect<Availability, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let isUp = true
    const probe: Effect.Effect<void> = Effect.suspend(() =>
      Effect.sleep(PROBE_EVERY_MS).pipe(
        Effect.andThen(ping),
        Effect.matchEffect({
          onFailure: () => probe,
          onSuccess: () => {
            isUp = true
            return Effect.logInfo("locks: Redis is back; locks are taken there again")
          }
        })
      )
    )
    const report: Availability["report"] = (away) =>
      Effect.suspend(() => {
        if (!away.everywhere) return Effect.logWarning("locks: Redis refused a command", messageOf(away))
        if (!isUp) return Effect.void
        isUp = false
        return Effect.logWarning(
          "locks: Redis is away; the database decides until it is back",
          away.cause
        ).pipe(Effect.andThen(storeWentAway), Effect.andThen(Effect.forkIn(probe, scope)), Effect.asVoid)
      })
    return { isUp: () => isUp, report }
  })

const messageOf = ({ cause }: StoreAway): string => (cause instanceof Error ? cause.message : String(cause))
