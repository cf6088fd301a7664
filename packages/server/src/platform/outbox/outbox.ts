import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { tx } from "../db/transaction.ts"
import { noticeOnCommit } from "../jobs/notices.ts"
import { currentSpan, SpansOfDecisions, traceparentOf } from "../telemetry/traces.ts"
import { rememberOnCommit } from "./origins.ts"

/** The topics of the notices that events are to be published, and have been. */
export const UNPUBLISHED = "unpublished events"
export const PUBLISHED = "published events"

/** An event to publish. Its payload travels as JSON. */
export interface NewEvent {
  readonly topic: string
  readonly payload: object
  /** What was decided about the call that the event is due to, or a part of that: the event belongs to the call's trace. */
  readonly cause?: object
}

/** An event as consumers receive it: at least once, in the order in which events were inserted under one row lock. */
export interface OutboxEvent {
  /** The id of the outbox row: the same in every delivery of the event. */
  readonly eventId: number
  readonly topic: string
  readonly payload: Readonly<Record<string, unknown>>
  /** The header `traceparent` of the span that has caused the event. */
  readonly traceparent?: string | undefined
  /** When this process committed the event, on the clock of `performance.now()`; absent for another process's. */
  readonly committedAtMs?: number | undefined
}

/** Inserts events, which are published once the open transaction has committed. */
export const insertEvents = Effect.fnUntraced(function* (events: ReadonlyArray<NewEvent>) {
  if (events.length === 0) return
  const origin = randomBytes(16)
  const spans = yield* SpansOfDecisions
  const current = yield* currentSpan
  yield* tx.affected((q) =>
    q.insertInto("outbox").values(
      events.map(({ cause, payload, topic }) => ({
        topic,
        payload: JSON.stringify(payload),
        origin,
        traceparent: traceparentOf((cause && spans.get(cause)) ?? current) ?? null
      }))
    )
  )
  yield* rememberOnCommit(origin)
  yield* noticeOnCommit(UNPUBLISHED)
})
