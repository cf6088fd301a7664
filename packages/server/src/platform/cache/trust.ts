import { ServiceUnavailable } from "@holdfast/domain"
import type { RedisUnavailable } from "@holdfast/locks"
import { Effect, Schedule, type Scope } from "effect"
import { sql } from "kysely"
import { makeCoalesced } from "../db/coalesce.ts"
import { type Database, db } from "../db/database.ts"

/** How long a process trusts cached entries after it began to ask whether it may. */
const TRUSTED_MS = 500
/** From this age on, the answer is asked for in the background, so that readers do not wait for it. */
const ASK_AGAIN_MS = 200
/** How long nobody uses the cache after an invalidation that did not get through. */
const SUSPENDED_MS = 2_000
/**
 * A tag may be invalidated in a generation that was current this long ago. If it has ended since, the suspension that
 * ended it is longer, so no reader uses the next generation yet.
 */
const INVALIDATED_IN_MS = 1_000
/** A suspension with less time left than this is renewed instead of relied on. */
const MARGIN_MS = 500
const DATABASE_WITHIN_MS = 2_000
const PROBE_WITHIN_MS = 300
const RETRY_EVERY_MS = 200

/**
 * Whether cached entries may be used. A process trusts them only while it has seen, within the last half second, that
 * Redis takes its writes, and that no process has declared in the database that an invalidation did not get through.
 */
export interface Trust {
  /** The generation whose entries may be read now; `undefined`: none. */
  readonly readable: Effect.Effect<number | undefined>
  /** The generation in which tags are to be invalidated. Fails when the database does not tell. */
  readonly writable: Effect.Effect<number, ServiceUnavailable>
  /** Whether nobody uses the cache, because of this process, so that there is nothing to invalidate. */
  readonly isSuspended: () => boolean
  /** Ends the generation. Returns once no process uses its entries any more, after about 500 ms. Never fails. */
  readonly suspend: Effect.Effect<void>
}

interface Seen {
  /** When the question was asked, on the clock of `performance.now()`. */
  readonly atMs: number
  readonly generation: number
  readonly isUsable: boolean
}

const NOTHING: Seen = { atMs: Number.NEGATIVE_INFINITY, generation: 0, isUsable: false }

const ageMs = ({ atMs }: Seen): number => performance.now() - atMs

/** @param probe writes to Redis */
export const makeTrust = (
  probe: Effect.Effect<unknown, RedisUnavailable | ServiceUnavailable>
): Effect.Effect<Trust, never, Database | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { isOwed, isSuspended, suspend } = yield* makeSuspension
    let seen = NOTHING
    let isAsking = false

    const ask = yield* makeCoalesced((_question: "trust") =>
      Effect.gen(function* () {
        const atMs = performance.now()
        const [row, takesWrites] = yield* Effect.all([readTrust, succeedsSoon(probe)], { concurrency: 2 })
        return (seen = {
          atMs,
          generation: row!.generation,
          isUsable: takesWrites && row!.is_suspended === 0
        })
      }).pipe(withinDeadline)
    )
    const askInBackground = Effect.suspend(() => {
      if (isAsking) return Effect.void
      isAsking = true
      const asked = Effect.ensuring(
        Effect.ignore(ask("trust")),
        Effect.sync(() => void (isAsking = false))
      )
      return Effect.asVoid(Effect.forkIn(asked, scope))
    })
    const readableIn = ({ generation, isUsable }: Seen) => (isUsable && !isOwed() ? generation : undefined)

    return {
      readable: Effect.suspend(() => {
        if (ageMs(seen) < ASK_AGAIN_MS) return Effect.succeed(readableIn(seen))
        if (ageMs(seen) < TRUSTED_MS) return Effect.map(askInBackground, () => readableIn(seen))
        // However late the answer is, it is newer than every change that was answered before this reader came.
        return ask("trust").pipe(
          Effect.map(readableIn),
          Effect.catch(() => Effect.succeed(undefined))
        )
      }),
      writable: Effect.suspend(() =>
        ageMs(seen) < INVALIDATED_IN_MS
          ? Effect.succeed(seen.generation)
          : Effect.map(ask("trust"), ({ generation }) => generation)
      ),
      isSuspended,
      suspend
    }
  })

/** The suspensions that this process declares. */
const makeSuspension = Effect.gen(function* () {
  const scope = yield* Effect.scope
  /** The database does not know yet. Until it does, this process at least trusts nothing itself. */
  let isOwed = false
  let endsAtMs = Number.NEGATIVE_INFINITY
  let isKnownAtMs = Number.NEGATIVE_INFINITY

  const declare = yield* makeCoalesced((_statement: "suspension") =>
    Effect.gen(function* () {
      const startedAtMs = performance.now()
      yield* writeSuspension
      if (startedAtMs >= endsAtMs) isKnownAtMs = performance.now() + TRUSTED_MS
      endsAtMs = startedAtMs + SUSPENDED_MS
    }).pipe(withinDeadline)
  )
  const untilKnown = Effect.suspend(() => Effect.sleep(Math.max(0, isKnownAtMs - performance.now())))
  const declareLater = Effect.suspend(() => {
    if (isOwed) return Effect.void
    isOwed = true
    return declare("suspension").pipe(
      Effect.retry(Schedule.spaced(RETRY_EVERY_MS)),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => void (isOwed = false))),
      Effect.forkIn(scope),
      Effect.asVoid
    )
  })
  return {
    isOwed: () => isOwed,
    isSuspended: () => isKnownAtMs <= performance.now() && performance.now() < endsAtMs - MARGIN_MS,
    suspend: declare("suspension").pipe(
      Effect.andThen(untilKnown),
      Effect.catch(() => declareLater)
    )
  }
})

const readTrust = db.first((q) =>
  q.selectFrom("cache_trust").select(["generation", sql<number>`suspended_until > NOW(6)`.as("is_suspended")])
)

const writeSuspension = db.rows(
  () => sql`update cache_trust set generation = generation + 1,
    suspended_until = greatest(suspended_until, NOW(6) + interval ${SUSPENDED_MS * 1_000} microsecond)`
)

const succeedsSoon = (probe: Parameters<typeof makeTrust>[0]) =>
  Effect.isSuccess(Effect.raceFirst(probe, Effect.andThen(Effect.sleep(PROBE_WITHIN_MS), oneMoreTurn)))

/** A busy event loop runs late timers before it reads answers that are already there. */
const oneMoreTurn = Effect.callback<never, "silence">((resume) => {
  const turn = setImmediate(() => resume(Effect.fail("silence")))
  return Effect.sync(() => clearImmediate(turn))
})

const withinDeadline = <A, R>(
  effect: Effect.Effect<A, ServiceUnavailable, R>
): Effect.Effect<A, ServiceUnavailable, R> =>
  Effect.timeoutOrElse(effect, {
    duration: DATABASE_WITHIN_MS,
    orElse: () => Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_EVERY_MS }))
  })
