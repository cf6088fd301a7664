import type { ServiceUnavailable } from "@holdfast/domain"
import { underLocks } from "@holdfast/locks"
import { Effect, Exit, type Fiber, Result, type Scope, type Semaphore } from "effect"
import { below } from "../telemetry/traces.ts"
import { Blocked, type Ending, type GroupKind, type HeldRows } from "./kind.ts"
import { busy, DEADLINE_MS, end, isGone, leftMs, type Member } from "./member.ts"

/** Calls of one transaction. With more of them its failure would cost more than their company saves. */
const MAXIMUM_CALLS = 64
/** Rows of one transaction, which its statements have to carry. A heavier call runs alone. */
const MAXIMUM_ROWS = 2_000
/** Calls that wait in one queue; more are refused at once, and earlier those that would wait for too long. */
const MAXIMUM_WAITING = 5_000

/** What a queue is, and what it needs of the others. */
interface Surroundings<C, A, E, R> {
  readonly heldRows: HeldRows
  /** Whether its calls wait for nothing but their turn. */
  readonly isOfAll: boolean
  /** Limits the transactions that wait for rows, those of other queues included. */
  readonly permits: Semaphore.Semaphore | undefined
  readonly scope: Scope.Scope
  readonly close: () => void
  /** Takes over calls whose rows, see `blockedBy`, are held. */
  readonly block: (members: ReadonlyArray<Member<C, A, E>>) => Effect.Effect<void, never, R>
}

interface Committed<C, A, E> {
  readonly member: Member<C, A, E>
  readonly ending: Ending<A>
}

/** Calls in order of arrival, and the one transaction at a time that runs for the first of them. */
export class Queue<C, A, E, R> {
  private waiting: Array<Member<C, A, E>> = []
  private running: ReadonlyArray<Member<C, A, E>> = []
  private fiber: Fiber.Fiber<void> | undefined
  private startedAtMs = 0
  /** How long a transaction takes: the mean of the last one and of what was known before it. */
  private transactionMs = 0
  private readonly kind: GroupKind<C, A, E, R>
  private readonly surroundings: Surroundings<C, A, E, R>
  constructor(kind: GroupKind<C, A, E, R>, surroundings: Surroundings<C, A, E, R>) {
    this.kind = kind
    this.surroundings = surroundings
  }

  add(members: ReadonlyArray<Member<C, A, E>>): Effect.Effect<void> {
    return Effect.sync(() => {
      for (const member of members) {
        if (member.state === "left") end(member, Exit.interrupt())
        else if (this.isFull()) end(member, Exit.fail(busy()))
        else this.waiting.push(Object.assign(member, { state: "waiting" as const, queue: this }))
      }
    })
  }

  /** Whether another call would wait for longer than it may: for the transaction that runs, and for full ones before its own. */
  private isFull(): boolean {
    const runsForMs = this.running.length === 0 ? 0 : performance.now() - this.startedAtMs
    const waitMs =
      Math.max(runsForMs, this.transactionMs) +
      Math.floor(this.waiting.length / MAXIMUM_CALLS) * this.transactionMs
    return this.waiting.length >= MAXIMUM_WAITING || waitMs > DEADLINE_MS
  }

  left(): void {
    this.waiting = this.waiting.filter(({ state }) => state === "waiting")
    if (this.running.length > 0 && this.running.every(({ state }) => state !== "running"))
      this.fiber?.interruptUnsafe()
  }

  waitMs(): number {
    const first = this.surroundings.isOfAll ? this.waiting[0] : undefined
    return first === undefined ? 0 : performance.now() - first.joinedAtMs
  }

  stop(): void {
    for (const member of [...this.running, ...this.waiting])
      if (member.state !== "ended") end(member, Exit.interrupt())
  }

  /** Runs the next group in a fiber of its own, which belongs to none of the callers. */
  readonly next: Effect.Effect<void, never, R> = Effect.suspend(() => {
    const group = Effect.andThen(
      ofThisTurn,
      Effect.suspend(() => {
        this.running = this.take()
        if (this.running.length > 0) return this.runGroup(this.running)
        this.surroundings.close()
        return Effect.void
      })
    )
    return Effect.map(Effect.forkIn(Effect.interruptible(group), this.surroundings.scope), (fiber) => {
      this.fiber = fiber
    })
  })

  private take(): ReadonlyArray<Member<C, A, E>> {
    let rows = 0
    const tooMany = this.waiting.findIndex(
      ({ call }, index) => index === MAXIMUM_CALLS || (rows += this.kind.weigh(call)) > MAXIMUM_ROWS
    )
    const members = this.waiting.splice(0, tooMany === -1 ? this.waiting.length : Math.max(tooMany, 1))
    for (const member of members) member.state = "running"
    return members
  }

  private runGroup(members: ReadonlyArray<Member<C, A, E>>): Effect.Effect<void, never, R> {
    const { block, close, permits } = this.surroundings
    const transacted = this.transact(members)
    this.startedAtMs = performance.now()
    return (permits === undefined ? transacted : permits.withPermits(1)(transacted)).pipe(
      Effect.onExit(() => {
        this.transactionMs = (this.transactionMs + performance.now() - this.startedAtMs) / 2
        this.running = []
        if (this.waiting.length > 0) return this.next
        close()
        return Effect.void
      }),
      Effect.flatMap((committed) => answerAll(this.kind, committed, block)),
      Effect.ensuring(
        Effect.sync(() => {
          for (const member of members)
            if (member.queue === this && member.state !== "ended") end(member, Exit.interrupt())
        })
      )
    )
  }

  /** Without those who are gone, or in halves until the one to blame is alone: 2 log2(n) transactions at most. */
  private transact(
    members: ReadonlyArray<Member<C, A, E>>
  ): Effect.Effect<ReadonlyArray<Committed<C, A, E>>, never, R> {
    return Effect.suspend(() => {
      for (const member of members) if (isGone(member)) end(member, Exit.interrupt())
      const present = members.filter(({ state }) => state === "running")
      if (present.length === 0) return Effect.succeed([])
      const heldRows = this.kind.skipsHeldRows ? this.surroundings.heldRows : "wait"
      return this.kind
        .transact(
          present.map(({ call }) => call),
          heldRows
        )
        .pipe(
          underLocks(present.map(({ locks }) => locks)),
          // Of a transaction that several calls share, the first call's trace has the spans.
          below(present[0]!.span),
          Effect.timeoutOrElse({
            duration: leftMs(present[0]!),
            orElse: () => Effect.fail(busy())
          }),
          Effect.exit,
          Effect.flatMap((exit) =>
            Exit.isSuccess(exit)
              ? Effect.succeed(
                  present.map((member, index) => committedOf(member, exit.value[index]!, heldRows))
                )
              : this.afterFailure(present, exit)
          )
        )
    })
  }

  private afterFailure(
    members: ReadonlyArray<Member<C, A, E>>,
    exit: Exit.Failure<unknown, E | ServiceUnavailable>
  ): Effect.Effect<ReadonlyArray<Committed<C, A, E>>, never, R> {
    if (members.some(isGone)) return this.transact(members)
    const isEveryones = Result.isSuccess(Exit.findError(exit))
    if (isEveryones || members.length === 1) {
      for (const member of members) end(member, Exit.failCause(exit.cause))
      return Effect.succeed([])
    }
    const half = Math.ceil(members.length / 2)
    return Effect.zipWith(
      this.transact(members.slice(0, half)),
      this.transact(members.slice(half)),
      (first, second) => [...first, ...second]
    )
  }
}

const committedOf = <C, A, E>(
  member: Member<C, A, E>,
  ending: Ending<A>,
  heldRows: HeldRows
): Committed<C, A, E> => {
  if (ending instanceof Blocked)
    Object.assign(member, { blockedBy: ending.row ?? member.blockedBy, hasWaited: heldRows !== "skip" })
  return { member, ending }
}

const answerAll = <C, A, E, R>(
  kind: GroupKind<C, A, E, R>,
  committed: ReadonlyArray<Committed<C, A, E>>,
  block: Surroundings<C, A, E, R>["block"]
): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    const blocked = committed.flatMap(({ ending, member }) => (ending instanceof Blocked ? [member] : []))
    const answered = committed.flatMap(({ ending, member }) =>
      ending instanceof Blocked ? [] : [{ member, call: member.call, answer: ending }]
    )
    const answer = Effect.sync(() => {
      for (const { answer, member } of answered) end(member, Exit.succeed(answer))
    })
    return Effect.andThen(block(blocked), Effect.andThen(kind.afterCommit(answered), answer))
  })

/** Requests that have arrived already come along; nobody waits for more. */
const ofThisTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})
