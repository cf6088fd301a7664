import { write } from "../db/transaction.ts"

/** An event as consumers receive it: at least once, in the order in which events were inserted under one row lock. */
export interface OutboxEvent {
  /** The id of the outbox row: the same in every delivery of the event. */
  readonly eventId: number
  readonly topic: string
  readonly payload: Readonly<Record<string, unknown>>
}

/** Inserts an event, which is published once the surrounding transaction has committed. */
export const insertOutbox = (topic: string, payload: object) =>
  write((tx, options) =>
    tx
      .insertInto("outbox")
      .values({ topic, payload: JSON.stringify(payload) })
      .execute(options)
  )

/** The Redis stream of all events of a key namespace. */
export const streamKey = (prefix: string): string => `${prefix}events`
