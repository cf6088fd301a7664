import { type FenceStale, type LockLost, type LockTimeout, ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"

type LockFailureOfCaller = LockLost | FenceStale | LockTimeout

const RETRY_AFTER_MS = 100

/**
 * What went wrong with a lock is the operator's business: nothing was done, and the same request may be sent again.
 * The caller learns just that; the log says which lock it was and who held it.
 */
export const mapLockErrors = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, LockFailureOfCaller> | ServiceUnavailable, R> =>
  effect.pipe(
    Effect.catch((error): Effect.Effect<never, Exclude<E, LockFailureOfCaller> | ServiceUnavailable> =>
      isLockTrouble(error)
        ? Effect.andThen(
            Effect.logWarning("lock trouble", error.message),
            Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
          )
        : Effect.fail(error as Exclude<E, LockFailureOfCaller>)
    )
  )

const isLockTrouble = (error: unknown): error is LockFailureOfCaller =>
  ["LockLost", "FenceStale", "LockTimeout"].includes((error as { readonly _tag?: string })._tag ?? "")
