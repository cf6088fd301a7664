import type { ServiceUnavailable } from "@holdfast/domain"
import { underLocks } from "@holdfast/locks"
import { Effect, Exit, type Fiber, Result, type Scope, type Semaphore } from "effect"
import { below } from "../telemetry/traces.ts"
import { busy, DEADLINE_MS, end, isGone, leftMs, type Member } from "./member.ts"

/** Calls of one transaction. With more of them its failure would cost more than their company saves. */
const MAXIMUM_CALLS = 64
/** Rows of one transaction, which its statements have to carry. A heavier call runs alone. */
const MAXIMUM_ROWS = 2_000
/** Calls that wait in one queue; more are refused at once, and earlier those that would wait for too long. */
const MAXIMUM_WAITING = 5_000

/** The call needs a row that another transaction holds, and waits for it in the queue of that row. */
export class Blocked {
  readonly row: string
  constructor(row: string) {
    this.row = row
  }
}

/** What a transaction that was committed says of one of its calls. */
export type Ending<A> = A | Blocked

/** How the calls of one command share transactions. */
export interface GroupKind<C, A, E, R> {
  /** Tells the queues of this command from those of others. */
  readonly name: string
  /** Whether transactions skip rows that others hold, and end the calls that need them as {@link Blocked}. */
  readonly skipsHeldRows: boolean
  /** The one row that a call needs, where it needs no more: it joins those that wait for this row already. */
  readonly rowOf?: (call: C) => string | undefined
  /** How many rows a call reads and writes, roughly. */
  readonly weigh: (call: C) => number
  /**
   * Commits one transaction for these calls and gives an ending for each, in their order. A failure is every call's.
   * After a defect one call may be to blame, so the group is split. Either way nothing was committed.
   */
  readonly transact: (
    calls: ReadonlyArray<C>,
    heldRows: "skip" | "wait"
  ) => Effect.Effect<ReadonlyArray<Ending<A>>, E, R>
  /** Runs after the commit and before the answers, while the next transaction of the queue runs. */
  readonly afterCommit: (
    answered: ReadonlyArray<{ readonly call: C; readonly answer: A }>
  ) => Effect.Effect<void, never, R>
}

/** The open queues of a process. A queue closes when nobody waits in it any more. */
export class Queues {
  private readonly open = new Map<string, Queue<never, never, never, never>>()
  private readonly scope: Scope.Scope
  private readonly permitsForRows: Semaphore.Semaphore
  constructor(scope: Scope.Scope, permitsForRows: Semaphore.Semaphore) {
    this.scope = scope
    this.permitsForRows = permitsForRows
  }

  /** Adds a call to its queue, or to those that wait for its row already: nobody passes them. */
  join<C, A, E, R>(
    kind: GroupKind<C, A, E, R>,
    name: string,
    member: Member<C, A, E>
  ): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      const row = kind.rowOf?.(member.call)
      const isAwaited = row !== undefined && this.open.has(keyOf(kind, name, row))
      return this.add(kind, name, [member], isAwaited ? row : undefined)
    })
  }

  /** Adds calls to a queue; with `row`, to the queue of those that wait for this row. */
  private add<C, A, E, R>(
    kind: GroupKind<C, A, E, R>,
    name: string,
    members: ReadonlyArray<Member<C, A, E>>,
    row?: string
  ): Effect.Effect<void, never, R> {
    const key = keyOf(kind, name, row)
    const known = this.open.get(key) as Queue<C, A, E, R> | undefined
    if (known !== undefined) return known.add(members)
    const queue: Queue<C, A, E, R> = new Queue(kind, row === undefined ? undefined : this.permitsForRows, {
      scope: this.scope,
      close: () => this.open.delete(key),
      block: (blocked, blockingRow) => this.add(kind, name, blocked, blockingRow)
    })
    this.open.set(key, queue as never)
    return Effect.andThen(queue.add(members), queue.next)
  }

  /** How long the first of those has been waiting who wait for no row. */
  waitMs(): number {
    let longestMs = 0
    for (const queue of this.open.values()) longestMs = Math.max(longestMs, queue.waitMs())
    return longestMs
  }

  /** Nobody may wait for an answer that does not come. */
  stop(): void {
    for (const queue of this.open.values()) queue.stop()
  }
}

const keyOf = ({ name }: { readonly name: string }, queue: string, row: string | undefined): string =>
  `${name}\n${queue}\n${row}`

/** What a queue needs of the others. */
interface Surroundings<C, A, E, R> {
  readonly scope: Scope.Scope
  readonly close: () => void
  readonly block: (members: ReadonlyArray<Member<C, A, E>>, row: string) => Effect.Effect<void, never, R>
}

interface Committed<C, A, E> {
  readonly member: Member<C, A, E>
  readonly ending: Ending<A>
}

/** Calls in order of arrival, and the one transaction at a time that runs for the first of them. */
class Queue<C, A, E, R> {
  private waiting: Array<Member<C, A, E>> = []
  private running: ReadonlyArray<Member<C, A, E>> = []
  private fiber: Fiber.Fiber<void> | undefined
  private startedAtMs = 0
  /** How long a transaction takes: the mean of the last one and of what was known before it. */
  private transactionMs = 0
  private readonly kind: GroupKind<C, A, E, R>
  private readonly permits: Semaphore.Semaphore | undefined
  private readonly surroundings: Surroundings<C, A, E, R>
  constructor(
    kind: GroupKind<C, A, E, R>,
    permits: Semaphore.Semaphore | undefined,
    surroundings: Surroundings<C, A, E, R>
  ) {
    this.kind = kind
    this.permits = permits
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
    const first = this.permits === undefined ? this.waiting[0] : undefined
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
    const { block, close } = this.surroundings
    const transacted = this.transact(members)
    this.startedAtMs = performance.now()
    return (this.permits === undefined ? transacted : this.permits.withPermits(1)(transacted)).pipe(
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
      const heldRows = this.kind.skipsHeldRows && this.permits === undefined ? "skip" : "wait"
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
              ? Effect.succeed(present.map((member, index) => ({ member, ending: exit.value[index]! })))
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

const answerAll = <C, A, E, R>(
  kind: GroupKind<C, A, E, R>,
  committed: ReadonlyArray<Committed<C, A, E>>,
  block: Surroundings<C, A, E, R>["block"]
): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    const blocked = committed.flatMap(({ ending, member }) =>
      ending instanceof Blocked ? [{ member, row: ending.row }] : []
    )
    const answered = committed.flatMap(({ ending, member }) =>
      ending instanceof Blocked ? [] : [{ member, call: member.call, answer: ending }]
    )
    const moveBlocked = Effect.forEach(
      Map.groupBy(blocked, ({ row }) => row),
      ([row, those]) =>
        block(
          those.map(({ member }) => member),
          row
        ),
      { discard: true }
    )
    const answer = Effect.sync(() => {
      for (const { answer, member } of answered) end(member, Exit.succeed(answer))
    })
    return Effect.andThen(moveBlocked, Effect.andThen(kind.afterCommit(answered), answer))
  })

/** Requests that have arrived already come along; nobody waits for more. */
const ofThisTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})
