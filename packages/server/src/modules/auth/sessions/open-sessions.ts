import { type Role, type ServiceUnavailable, type SessionId, Unauthenticated } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { LRUCache } from "lru-cache"
import { makeBatchedRead } from "../../../platform/db/batched-read.ts"
import type { Database } from "../../../platform/db/database.ts"
import type { Caller } from "../../../platform/trpc/handler.ts"
import { rolesOfSessions } from "./repository.ts"

/** How long what was read of a session is believed. After a revocation its tokens are good for no longer than this. */
const BELIEVED_MS = 4_000

/** From this age on it is read again, while it is still believed: callers who keep calling never wait. */
const REREAD_AFTER_MS = 1_500

/** Sessions whose state is kept, about 10 MB. */
const KEPT_SESSIONS = 50_000

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
      const remember = Effect.fnUntraced(function* (ids: ReadonlyArray<SessionId>) {
        const readAtMs = performance.now()
        const roles = yield* rolesOfSessions(ids)
        for (const id of ids) known.set(id, { role: roles.get(id), readAtMs, isReread: false })
        return roles
      })
      const read = yield* makeBatchedRead(remember, { pauseMs: READ_PAUSE_MS })

      const judged = (caller: Caller, role: Role | undefined) =>
        role === caller.role
          ? Effect.succeed(caller)
          : Effect.fail(new Unauthenticated({ reason: "invalid" }))

      return {
        check: (caller, asOf) => {
          const { sessionId } = caller
          const state = asOf === "now" ? undefined : known.get(sessionId)
          const ageMs = state === undefined ? Infinity : performance.now() - state.readAtMs
          if (state === undefined || ageMs > BELIEVED_MS)
            return Effect.flatMap(read.awaited(sessionId), (role) => judged(caller, role))
          if (ageMs > REREAD_AFTER_MS && !state.isReread) {
            state.isReread = true
            read.inBackground(sessionId)
          }
          return judged(caller, state.role)
        },
        forget: (sessionId) => Effect.sync(() => void known.delete(sessionId))
      }
    })
  )
}
