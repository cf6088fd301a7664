import { sql } from "kysely"

/**
 * The position of a consumer is the last sequence that it has handled. The row of its job in `worker_turns` remembers
 * it: the process that leads the job handles events and moves the position in one transaction.
 */
export const consumerJob = (consumer: string): string => `events for ${consumer}`

/** An SQL pattern: the names of the consumers' jobs. */
export const EVENT_JOBS = "events for %"

/** Conditions on `worker_turns`: the rows of consumers, and those whose state is a position. */
export const CONSUMER_TURNS = sql<boolean>`worker like ${EVENT_JOBS}`
export const HAS_POSITION = sql<boolean>`state regexp '^[0-9]{1,15}$'`

/** A state that is no position counts as none: everything is handled once more. */
export const positionOf = (state: string | null): number =>
  state !== null && /^[0-9]{1,15}$/.test(state) ? Number(state) : 0

/** How an event is named among what its consumer has set aside. */
export const itemOf = (eventId: number): Buffer => Buffer.from(String(eventId))
export const eventOf = (item: Buffer): number => Number(item.toString())
