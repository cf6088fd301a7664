import { ServiceUnavailable } from "@holdfast/domain"
import { hasEndedLock, type LockContext } from "@holdfast/locks"
import { Deferred, Effect, Exit, type Tracer } from "effect"
import { BUSY_RETRY_AFTER_MS } from "../db/database.ts"

/** Calls that the database keeps waiting for longer are asked to try again. A client gives an attempt up after 10 s. */
export const DEADLINE_MS = 8_000
/** What a transaction gets at least, also when its oldest call has waited for that long already. */
const LEAST_DEADLINE_MS = 1_000

/** A call in a queue, until it is answered. */
export interface Member<C, A, E> {
  readonly call: C
  readonly locks: LockContext
  /** The span of the call, if it has one. */
  readonly span: Tracer.AnySpan | undefined
  readonly joinedAtMs: number
  readonly answer: Deferred.Deferred<A, E | ServiceUnavailable>
  /** `left`: interrupted while its transaction ran, for whose end it waits. */
  state: "waiting" | "running" | "left" | "ended"
  queue: { readonly left: () => void } | undefined
  /** The row that kept it from being decided. */
  blockedBy: string | undefined
  /** Whether it has waited for that row, in vain. */
  hasWaited: boolean
}

/** A call under the locks that its caller holds. */
export const makeMember = <C, A, E>(call: C, locks: LockContext, span?: Tracer.AnySpan): Member<C, A, E> => ({
  call,
  locks,
  span,
  joinedAtMs: performance.now(),
  answer: Deferred.makeUnsafe(),
  state: "waiting",
  queue: undefined,
  blockedBy: undefined,
  hasWaited: false
})

/** Answers the call. */
export const end = <C, A, E>(member: Member<C, A, E>, exit: Exit.Exit<A, E | ServiceUnavailable>): void => {
  member.state = "ended"
  Deferred.doneUnsafe(member.answer, exit)
}

/** The caller was interrupted. */
export const leave = <C, A, E>(member: Member<C, A, E>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (member.state === "running") member.state = "left"
    if (member.state === "waiting") end(member, Exit.interrupt())
    member.queue?.left()
    return Effect.exit(Deferred.await(member.answer))
  })

/** The answer to a call that is asked to try again. */
export const busy = () => new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS })

/** How long a transaction may take whose first call is this one. */
export const leftMs = <C, A, E>({ joinedAtMs }: Member<C, A, E>): number =>
  Math.max(joinedAtMs + DEADLINE_MS - performance.now(), LEAST_DEADLINE_MS)

/** Whoever was interrupted, or has lost a lock, is answered by that. */
export const isGone = <C, A, E>({ locks, state }: Member<C, A, E>): boolean =>
  state === "left" || hasEndedLock(locks)
