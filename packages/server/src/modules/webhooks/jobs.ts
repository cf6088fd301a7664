import { Data, Effect, Redacted } from "effect"
import type { ServerSettings, WebhookSettings } from "../../config.ts"
import { PlatformConfig } from "../../platform/config.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import { inTransaction } from "../../platform/db/transaction.ts"
import { consumerOf } from "../../platform/outbox/consumer.ts"
import { asLeader } from "../../platform/jobs/leader.ts"
import type { Job } from "../../platform/jobs/runner.ts"
import { below, callersSpan, currentSpan, traced, traceparentOf } from "../../platform/telemetry/traces.ts"
import {
  deleteDelivered,
  type Delivery,
  insertDeliveries,
  markDelivered,
  markFailed,
  takeDue
} from "./repository.ts"
import { sign, SIGNATURE_HEADER } from "./signature.ts"

/** Deliveries that a process sends at once. */
const CONCURRENCY = 10

/** How much longer than the receiver's timeout a process keeps a delivery to itself. */
const LEASE_MARGIN_MS = 10_000

const LONGEST_RETRY_MS = 3_600_000

/** Without a webhook there are no deliveries. */
export const webhookJobs = ({ webhook }: ServerSettings) =>
  webhook === undefined ? [] : [intake, sender(webhook), cleaner]

/** Makes a delivery of every event for the receiver. */
const intake = consumerOf({
  group: "webhooks",
  topics: ["order.paid"],
  handle: (events) =>
    Effect.asVoid(
      insertDeliveries(
        events.map(({ eventId, payload, topic, traceparent }) => ({
          eventId,
          topic,
          body: JSON.stringify({ eventId, topic, ...payload }),
          traceparent
        }))
      )
    )
})

/**
 * Posts due deliveries. No transaction is open during a post: a process leases a delivery, sends it and records the
 * outcome. A crash in between sends it again, so receivers deduplicate by the event's number.
 */
const sender = (webhook: WebhookSettings) =>
  ({
    name: "webhook sender",
    intervalMs: 250,
    run: Effect.gen(function* () {
      const due = yield* inTransaction(takeDue(CONCURRENCY, webhook.timeoutMs + LEASE_MARGIN_MS))
      yield* Effect.forEach(due, (delivery) => deliver(webhook, delivery), {
        concurrency: CONCURRENCY,
        discard: true
      })
      return due.length
    })
  }) satisfies Job<unknown>

class DeliveryFailed extends Data.TaggedError("DeliveryFailed")<{ readonly why: string }> {}

const deliver = (webhook: WebhookSettings, delivery: Delivery) =>
  post(webhook, delivery).pipe(
    traced("webhook", { "messaging.message.id": delivery.eventId, "holdfast.attempt": delivery.attempts }),
    below(callersSpan(delivery.traceparent)),
    Effect.andThen(markDelivered(delivery.id)),
    Effect.catchTag("DeliveryFailed", ({ why }) => {
      const isLast = delivery.attempts >= webhook.maximumAttempts
      const retryAfterMs = isLast ? undefined : backoffMs(webhook, delivery.attempts)
      return Effect.logWarning(isLast ? "a webhook was given up" : "a webhook failed", {
        eventId: delivery.eventId,
        attempt: delivery.attempts,
        why
      }).pipe(Effect.andThen(markFailed(delivery.id, why, retryAfterMs)))
    })
  )

/** Doubles with each attempt; jitter spreads the load on a receiver that recovers. */
const backoffMs = ({ firstRetryMs }: WebhookSettings, attempts: number): number =>
  Math.min(LONGEST_RETRY_MS, firstRetryMs * 2 ** (attempts - 1)) * (0.8 + Math.random() * 0.4)

/** Anything but a 2xx in time is a failure, redirects included: events go to the configured address only. */
const post = Effect.fnUntraced(function* (webhook: WebhookSettings, { body, eventId, topic }: Delivery) {
  const clock = yield* DatabaseClock
  const traceparent = traceparentOf(yield* currentSpan)
  const secrets = [webhook.secret, ...webhook.formerSecrets].map(Redacted.value)
  const signature = sign(secrets, body, clock.nowMs())
  const status = yield* Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(webhook.url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          "holdfast-event": String(eventId),
          "holdfast-topic": topic,
          [SIGNATURE_HEADER]: signature,
          ...(traceparent === undefined ? {} : { traceparent })
        },
        body,
        signal
      })
      await response.body?.cancel()
      return response.status
    },
    catch: (cause) => new DeliveryFailed({ why: reasonOf(cause) })
  }).pipe(
    Effect.timeoutOrElse({
      duration: webhook.timeoutMs,
      orElse: () => Effect.fail(new DeliveryFailed({ why: `no answer within ${webhook.timeoutMs} ms` }))
    })
  )
  if (status < 200 || status > 299) return yield* new DeliveryFailed({ why: `answered ${status}` })
})

/** `fetch` puts the reason into the cause of its error. Its own message may quote the address, which may be secret. */
const reasonOf = (error: unknown): string => {
  const { cause } = error as { readonly cause?: { readonly code?: string } }
  return `not reached: ${cause?.code ?? "the request could not be made"}`
}

/** Deliveries that one run deletes: few enough to hold their locks briefly. */
const CLEANER_BATCH = 5_000

const cleaner = {
  name: "webhook cleaner",
  intervalMs: 30_000,
  batch: CLEANER_BATCH,
  run: asLeader("webhook cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      return yield* deleteDelivered(retentionMs, CLEANER_BATCH)
    })
  )
} satisfies Job<unknown>
