import { Effect, type Scope, type Semaphore } from "effect"
import type { GroupKind, HeldRows } from "./kind.ts"
import type { Member } from "./member.ts"
import { Queue } from "./queue.ts"

/** Where those wait whose rows are held at the moment. */
const BUSY = Symbol("busy rows")

/** Where calls wait: `undefined` with all others, or for the row of this name. */
type Place = undefined | typeof BUSY | string

const heldRowsAt = (place: Place): HeldRows =>
  place === undefined ? "skip" : place === BUSY ? "wait briefly" : "wait"

const keyOf = ({ name }: { readonly name: string }, queue: string, place: Place): string =>
  `${name}\n${queue}\n${place === undefined ? "" : place === BUSY ? "busy" : `row ${place}`}`

/** The open queues of a process. A queue closes when nobody waits in it any more. */
export class Queues {
  private readonly open = new Map<string, Queue<never, never, never, never>>()
  private readonly scope: Scope.Scope
  private readonly permitsForRows: Semaphore.Semaphore
  constructor(scope: Scope.Scope, permitsForRows: Semaphore.Semaphore) {
    this.scope = scope
    this.permitsForRows = permitsForRows
  }

  /** Adds a call to its queue. */
  join<C, A, E, R>(
    kind: GroupKind<C, A, E, R>,
    name: string,
    member: Member<C, A, E>
  ): Effect.Effect<void, never, R> {
    return Effect.suspend(() => this.add(kind, name, [member], undefined))
  }

  /**
   * Adds calls whose rows were held. Most often the holder is a group of another process, which is about to commit: so
   * they wait for all their rows together. A row that stays held gets a queue of its own, to delay no others.
   */
  private block<C, A, E, R>(
    kind: GroupKind<C, A, E, R>,
    name: string,
    members: ReadonlyArray<Member<C, A, E>>
  ): Effect.Effect<void, never, R> {
    const placeOf = ({ blockedBy, hasWaited }: Member<C, A, E>): Place =>
      hasWaited || this.open.has(keyOf(kind, name, blockedBy)) ? blockedBy : BUSY
    return Effect.forEach(
      Map.groupBy(members, placeOf),
      ([place, those]) => this.add(kind, name, those, place),
      { discard: true }
    )
  }

  private add<C, A, E, R>(
    kind: GroupKind<C, A, E, R>,
    name: string,
    members: ReadonlyArray<Member<C, A, E>>,
    place: Place
  ): Effect.Effect<void, never, R> {
    const key = keyOf(kind, name, place)
    const known = this.open.get(key) as Queue<C, A, E, R> | undefined
    if (known !== undefined) return known.add(members)
    const queue: Queue<C, A, E, R> = new Queue(kind, {
      heldRows: heldRowsAt(place),
      isOfAll: place === undefined,
      permits: typeof place === "string" ? this.permitsForRows : undefined,
      scope: this.scope,
      close: () => this.open.delete(key),
      block: (blocked) => this.block(kind, name, blocked)
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
