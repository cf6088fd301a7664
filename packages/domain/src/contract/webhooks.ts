import { Schema } from "effect"
import { DeadLetterNotFound } from "../errors/webhooks.ts"
import { mutation, query } from "./procedure.ts"
import { pageInput, pageOf } from "./shared.ts"

/** An event that could not be delivered, however often it was tried. */
export const DeadLetter = Schema.Struct({
  deliveryId: Schema.Int,
  /** The event's number, which the receiver got in every attempt. */
  eventId: Schema.Int,
  topic: Schema.String,
  /** The body as it was sent: JSON. */
  body: Schema.String,
  attempts: Schema.Int,
  /** Why the last attempt failed, `answered 500` for instance. */
  lastError: Schema.String,
  lastAttemptAt: Schema.DateFromString
})
export type DeadLetter = typeof DeadLetter.Type

/** For administrators alone. */
export const webhooksAdmin = {
  deadLetters: query({
    access: "admin",
    summary: "A page of the deliveries that were given up, the newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(DeadLetter),
    errors: []
  }),
  retryDelivery: mutation({
    access: "admin",
    summary: "Sends a dead letter again, with all its attempts before it.",
    input: Schema.Struct({ deliveryId: Schema.Int.check(Schema.isGreaterThan(0)) }),
    output: Schema.Struct({ deliveryId: Schema.Int }),
    errors: [DeadLetterNotFound]
  })
}
