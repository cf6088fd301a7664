import type { Effect } from "effect"

/**
 * Work in the background, done in rounds. Every process runs all workers; what keeps them out of each other's way is
 * the database: rows that are locked one by one, or a worker's turn (see turn.ts).
 */
export interface Job<R> {
  readonly name: string
  /** The pause between two rounds when there was nothing to do. */
  readonly everyMs: number
  /** One round: returns how much was done. As long as that is more than nothing, the next one follows at once. */
  readonly round: Effect.Effect<number, Error, R>
  /** After this long a round is interrupted, and the next one begins. Default: a minute. */
  readonly deadlineMs?: number
}
