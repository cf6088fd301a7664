import type { Effect } from "effect"

/**
 * What a transaction does about rows that others hold: skips them, waits for them, or waits for {@link BRIEFLY_MS} and
 * gives up.
 */
export type HeldRows = "skip" | "wait briefly" | "wait"

/** Longer than a transaction takes: whoever holds a row for longer than this is no other group of calls. */
export const BRIEFLY_MS = 200

/** The call needs a row that another transaction holds, and waits for it. `undefined`: for the same row as before. */
export class Blocked {
  readonly row: string | undefined
  constructor(row: string | undefined) {
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
  /** How many rows a call reads and writes, roughly. */
  readonly weigh: (call: C) => number
  /**
   * Commits one transaction for these calls and gives an ending for each, in their order. A failure is every call's.
   * After a defect one call may be to blame, so the group is split. Either way nothing was committed.
   */
  readonly transact: (
    calls: ReadonlyArray<C>,
    heldRows: HeldRows
  ) => Effect.Effect<ReadonlyArray<Ending<A>>, E, R>
  /** Runs after the commit and before the answers, while the next transaction of the queue runs. */
  readonly afterCommit: (
    answered: ReadonlyArray<{ readonly call: C; readonly answer: A }>
  ) => Effect.Effect<void, never, R>
}
