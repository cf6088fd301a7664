import { Effect } from "effect"
import { tx } from "../db/transaction.ts"

/** An event to publish. Its payload travels as JSON. */
export interface NewEvent {
  readonly topic: string
  readonly payload: object
}

/** Adds events to the outbox. They become visible when the open transaction commits, and never before. */
export const insertEvents = (events: ReadonlyArray<NewEvent>) =>
  events.length === 0
    ? Effect.succeed(0)
    : tx.affected((q) =>
        q
          .insertInto("outbox")
          .values(events.map(({ payload, topic }) => ({ topic, payload: JSON.stringify(payload) })))
      )
