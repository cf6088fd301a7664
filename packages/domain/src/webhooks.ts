import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { Moment } from "./kernel/moment.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { mutation, query } from "./kernel/procedure.ts"

/** A delivery that was given up after its last allowed attempt failed. */
export const DeadLetter = Schema.Struct({
  /** The delivery's number. */
  deliveryId: Schema.Int,
  /** The event's number, which the receiver sees in every attempt. */
  eventId: Schema.Int,
  /** What happened: `order.paid`, for instance. */
  topic: Schema.String,
  /** The JSON body as it was sent. */
  body: Schema.String,
  /** How often it was tried. */
  attempts: Schema.Int,
  /** Why the last attempt failed: `answered 500`, for instance. */
  lastError: Schema.String,
  /** When it was tried last. */
  lastAttemptAt: Moment
}).annotate({
  identifier: "DeadLetter"
})
export type DeadLetter = typeof DeadLetter.Type

/** No dead letter has this delivery id: it is unknown, has been delivered since, or is being retried. */
export class DeadLetterNotFound extends domainError<DeadLetterNotFound>()(
  "DeadLetterNotFound",
  {
    /** The number that was asked for. */
    deliveryId: Schema.Int
  },
  { code: "NOT_FOUND", message: ({ deliveryId }) => `there is no dead letter ${deliveryId}` }
) {}

/** The procedures on webhooks in the group `admin`. */
export const webhooksAdmin = {
  /** Returns a page of the deliveries that were given up, newest first. */
  deadLetters: query({
    access: "admin",
    input: Schema.Struct(pageInput),
    output: pageOf(DeadLetter),
    errors: []
  }),
  /** Retries a dead letter with a full set of new attempts. */
  retryDelivery: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The delivery's number. */
      deliveryId: Schema.Int.check(Schema.isGreaterThan(0))
    }),
    output: Schema.Struct({
      /** The delivery's number. */
      deliveryId: Schema.Int
    }),
    errors: [DeadLetterNotFound]
  })
}
