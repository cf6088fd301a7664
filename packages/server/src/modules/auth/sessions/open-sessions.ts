import { type Role, type ServiceUnavailable, type SessionId, Unauthenticated } from "@holdfast/domain"
import { Context, Deferred, Effect, Layer, Semaphore } from "effect"
import { LRUCache } from "lru-cache"
import { Database } from "../../../platform/db/database.ts"
import type { Caller } from "../../../platform/trpc/handler.ts"
import { rolesOfSessions } from "./repository.ts"

/** How long what was read of a session is believed. After a revocation its tokens are good for no longer than this. */
const BELIEVED_MS = 4_000

/** From this age on it is read again, while it is still believed: callers who keep calling never wait. */
const REREAD_AFTER_MS = 1_500

/** Sessions whose state is kept, about 10 MB. */
const KEPT_SESSIONS = 50_000

/** Sessions that one statement reads. */
const BATCH = 1_000

/** How long a session that nobody waits for may wait for others. */
const UNHURRIED_MS = 100

/** The pause between two reads. Under load it lets many sessions share one. */
const READ_PAUSE_MS = 3

/** The role of the user of an open session; `undefined` if it has ended or its user is blocked or deleted. */
interface SessionState {
  readonly role: Role | undefined
  readonly readAtMs: number
  /** It is being read again. */
  isReread: boolean
}

/**
 * Says whether the session of a verified token is still open. The database decides: a process reads the sessions that
 * it sees, many with one statement, and believes what it read for a few seconds. While the database is away nobody
 * can tell, and calls fail with `ServiceUnavailable`.
 */
export class OpenSessions extends Context.Service<
  OpenSessions,
  {
    /**
     * Fails with `Unauthenticated` when the caller's session is over or their role has changed.
     *
     * @param asOf `now` believes nothing that was read before
     */
    readonly check: (
      caller: Caller,
      asOf: "recently" | "now"
    ) => Effect.Effect<Caller, Unauthenticated | ServiceUnavailable>
    /** Call after the commit that ended the session: this process refuses it at once. */
    readonly forget: (sessionId: SessionId) => Effect.Effect<void>
  }
>()("@holdfast/server/OpenSessions") {
  static readonly layer: Layer.Layer<OpenSessions, never, Database> = Layer.effect(
    OpenSessions,
    Effect.gen(function* () {
      const known = new LRUCache<SessionId, SessionState>({ max: KEPT_SESSIONS })
      const read = yield* makeBatchedRead((ids) =>
        Effect.gen(function* () {
          const readAtMs = performance.now()
          const roles = yield* rolesOfSessions(ids)
          for (const id of ids) known.set(id, { role: roles.get(id), readAtMs, isReread: false })
        })
      )

      const judged = (caller: Caller, state: SessionState | undefined) =>
        state?.role === caller.role
          ? Effect.succeed(caller)
          : Effect.fail(new Unauthenticated({ reason: "invalid" }))

      return {
        check: (caller, asOf) => {
          const { sessionId } = caller
          const state = asOf === "now" ? undefined : known.get(sessionId)
          const ageMs = state === undefined ? Infinity : performance.now() - state.readAtMs
          if (state === undefined || ageMs > BELIEVED_MS)
            return Effect.andThen(
              read.awaited(sessionId),
              Effect.suspend(() => judged(caller, known.get(sessionId)))
            )
          if (ageMs > REREAD_AFTER_MS && !state.isReread) {
            state.isReread = true
            read.inBackground(sessionId)
          }
          return judged(caller, state)
        },
        forget: (sessionId) => Effect.sync(() => void known.delete(sessionId))
      }
    })
  )
}

/** The sessions that the next read reads, and who waits for it. */
interface NextRead {
  readonly ids: Set<SessionId>
  readonly done: Deferred.Deferred<void, ServiceUnavailable>
}

/** Reads sessions for all who ask meanwhile, one statement at a time. Nobody gets what was read before they asked. */
const makeBatchedRead = (
  readBatch: (ids: ReadonlyArray<SessionId>) => Effect.Effect<void, ServiceUnavailable, Database>
) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<Database>()
    const mutex = yield* Semaphore.make(1)
    /** What nobody waits for. The next read reads it, too. */
    const unhurried = new Set<SessionId>()
    let next: NextRead | undefined
    let lastReadMs = 0
    const readNext = Effect.gen(function* () {
      const pauseMs = lastReadMs + READ_PAUSE_MS - performance.now()
      if (pauseMs > 0) yield* Effect.sleep(pauseMs)
      const { done, ids } = next!
      next = undefined
      for (const id of unhurried) ids.add(id)
      unhurried.clear()
      const exit = yield* Effect.exit(readAll([...ids], readBatch))
      lastReadMs = performance.now()
      yield* Deferred.done(done, exit)
    }).pipe(mutex.withPermits(1), Effect.provideContext(context))
    const fork = (effect: Effect.Effect<void>) => Effect.runFork(Effect.forkIn(effect, scope))
    /** The next read, which begins when nobody reads. */
    const joinNext = (): NextRead => {
      if (next === undefined) {
        next = { ids: new Set(), done: Deferred.makeUnsafe() }
        fork(readNext)
      }
      return next
    }
    const readUnhurried = Effect.sync(() => void (unhurried.size > 0 && joinNext()))
    return {
      awaited: (id: SessionId) =>
        Effect.suspend(() => {
          const { done, ids } = joinNext()
          ids.add(id)
          return Deferred.await(done)
        }),
      /** Costs its caller next to nothing: one fiber waits for as many as come within the pause. */
      inBackground: (id: SessionId): void => {
        if (unhurried.size === 0) fork(Effect.delay(readUnhurried, UNHURRIED_MS))
        unhurried.add(id)
      }
    }
  })

const readAll = <E, R>(
  ids: ReadonlyArray<SessionId>,
  readBatch: (ids: ReadonlyArray<SessionId>) => Effect.Effect<void, E, R>
) => {
  const batches = Array.from({ length: Math.ceil(ids.length / BATCH) }, (_, n) =>
    ids.slice(n * BATCH, (n + 1) * BATCH)
  )
  return Effect.forEach(batches, readBatch, { discard: true })
}
