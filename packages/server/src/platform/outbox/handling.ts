import { Cause, Effect, Result } from "effect"
import type { Transactions } from "../db/transaction.ts"
import type { LockFree } from "@holdfast/locks"
import { Origins } from "./origins.ts"
import type { OutboxEvent } from "./outbox.ts"

export interface Consumer<R> {
  /** Every group receives every event, in the order of their sequence. */
  readonly group: string
  readonly topics: ReadonlyArray<string>
  /**
   * Handles a batch, idempotently: an event may arrive several times. It runs in the transaction that moves the group's
   * position. A store that is away fails the run, which is repeated; any other failure sets aside the event it is due to.
   */
  readonly handle: (
    events: ReadonlyArray<OutboxEvent>
  ) => Effect.Effect<void, Error, R> & LockFree<R, Transactions>
}

/** An event that a consumer could not handle. */
interface Failure {
  readonly eventId: number
  readonly cause: Cause.Cause<unknown>
}

/** A row of the outbox. */
interface EventRow {
  readonly id: number
  readonly topic: string
  readonly payload: string
  readonly traceparent: string | null
  readonly origin?: Buffer | null
}

/** Has the consumer handle the events of its topics. Returns those it could not handle; fails when a store is away. */
export const handleRows = <R>(consumer: Consumer<R>, rows: ReadonlyArray<EventRow>) =>
  Effect.gen(function* () {
    const { committedAtMs } = yield* Origins
    const wanted = rows.filter(({ topic }) => consumer.topics.includes(topic))
    const events: Array<OutboxEvent> = []
    const unreadable: Array<Failure> = []
    for (const row of wanted) {
      const payload = payloadOf(row.payload)
      if (payload === undefined)
        unreadable.push({ eventId: row.id, cause: Cause.fail("the payload is no JSON object") })
      else
        events.push({
          eventId: row.id,
          topic: row.topic,
          payload,
          traceparent: row.traceparent ?? undefined,
          committedAtMs: row.origin ? committedAtMs(row.origin) : undefined
        })
    }
    return [...unreadable, ...(yield* failuresOf(consumer, events))]
  })

const payloadOf = (text: string): OutboxEvent["payload"] | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as OutboxEvent["payload"])
      : undefined
  } catch {
    return undefined
  }
}

/** A batch that fails is handled event by event, to find out which of them it is due to. */
const failuresOf = <R>(
  consumer: Consumer<R>,
  events: ReadonlyArray<OutboxEvent>
): Effect.Effect<ReadonlyArray<Failure>, Error, R> =>
  events.length === 0
    ? Effect.succeed([])
    : Effect.suspend(() => consumer.handle(events) as Effect.Effect<void, Error, R>).pipe(
        Effect.as([]),
        Effect.catchCause((cause): Effect.Effect<ReadonlyArray<Failure>, Error, R> => {
          if (isOutage(cause)) return Effect.failCause(cause)
          const [event] = events
          return events.length === 1
            ? Effect.succeed([{ eventId: event!.eventId, cause }])
            : Effect.map(
                Effect.forEach(events, (each) => failuresOf(consumer, [each])),
                (failures) => failures.flat()
              )
        })
      )

/** Whatever the event, it could not have been handled now. */
const isOutage = (cause: Cause.Cause<Error>): boolean => {
  if (Cause.hasInterrupts(cause)) return true
  const error = Cause.findError(cause)
  return Result.isSuccess(error) && isOutageError(error.success)
}

const OUTAGES = new Set(["ServiceUnavailable", "DatabaseUnavailable", "WriteConflict", "TimeoutError"])

/** Redis refuses a single call for what a key holds, and all calls while it is away. */
const isOutageError = (error: Error): boolean => {
  const { _tag, everywhere } = error as { readonly _tag?: string; readonly everywhere?: boolean }
  return _tag === "RedisUnavailable" ? everywhere === true : _tag !== undefined && OUTAGES.has(_tag)
}
