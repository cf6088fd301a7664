import { Context, Effect, Layer } from "effect"
import { LRUCache } from "lru-cache"
import { onCommit, type Tx } from "../db/transaction.ts"

/** Transactions that a process remembers. Its own events are handled soon after their commit. */
const MAXIMUM_REMEMBERED = 10_000

/** The transactions with events that this process has committed lately, by the events' origin. */
export const Origins = Context.Reference<{
  readonly note: (origin: Buffer) => void
  /** When the process learnt of the commit, on the clock of `performance.now()`; `undefined`: another process's. */
  readonly committedAtMs: (origin: Buffer) => number | undefined
}>("@holdfast/server/Origins", {
  defaultValue: () => ({ note: () => {}, committedAtMs: () => undefined })
})

/** The origins of one server. */
export const originsLayer: Layer.Layer<never> = Layer.sync(Origins, () => {
  const committed = new LRUCache<string, number>({ max: MAXIMUM_REMEMBERED })
  return {
    note: (origin) => void committed.set(origin.toString("latin1"), performance.now()),
    committedAtMs: (origin) => committed.get(origin.toString("latin1"))
  }
})

/** Remembers the open transaction once it has committed. */
export const rememberOnCommit = (origin: Buffer): Effect.Effect<void, never, Tx> =>
  Effect.flatMap(Origins, ({ note }) => onCommit(() => note(origin)))
