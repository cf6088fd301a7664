import { contract, type DeadLetter, DeadLetterNotFound } from "@holdfast/domain"
import { Effect, Metric, Result, Schema } from "effect"
import { command } from "../../platform/command/command.ts"
import { makePages } from "../../platform/db/pagination.ts"
import { query } from "../../platform/trpc/handler.ts"
import { countDeliveries, listDead, lockDead, revive } from "./repository.ts"

const pages = makePages(Schema.Struct({ delivery: Schema.Int }))

export const deadLetters = query(contract.admin.deadLetters, ({ input }) =>
  pages(
    input,
    (before, limit) => listDead(before?.delivery, limit),
    ({ id }) => ({ delivery: id })
  ).pipe(
    Effect.map((page) => ({
      ...page,
      items: page.items.map((row): DeadLetter => ({
        deliveryId: row.id,
        eventId: row.event_id,
        topic: row.topic,
        body: row.body,
        attempts: row.attempts,
        lastError: row.last_error ?? "",
        lastAttemptAt: row.last_attempt_at ?? new Date(0)
      }))
    }))
  )
)

/** Sends a dead letter again, with a full set of attempts. */
export const retryDelivery = command(contract.admin.retryDelivery, {
  prepare: ({ input }) => Effect.succeed(input.deliveryId),
  transaction: {
    lock: lockDead,
    decide: (dead, deliveryIds) => {
      const left = new Set(dead)
      return deliveryIds.map((deliveryId) =>
        left.delete(deliveryId)
          ? Result.succeed({ output: { deliveryId } })
          : Result.fail(new DeadLetterNotFound({ deliveryId }))
      )
    },
    write: (revived) => Effect.asVoid(revive(revived.map(({ output }) => output.deliveryId))),
    audit: ({ output: { deliveryId } }) => ({
      subject: `delivery:${deliveryId}`,
      before: { status: "dead" },
      after: { status: "pending" }
    })
  }
})

const deliveries = Metric.gauge("holdfast_webhook_deliveries", {
  description: "Deliveries of webhooks by status: pending, or dead after the last attempt"
})

/** Measures what is left to deliver, for the metrics. */
export const measureDeliveries = Effect.gen(function* () {
  const found = new Map((yield* countDeliveries).map(({ n, status }) => [status, n]))
  for (const status of ["pending", "dead"] as const)
    yield* Metric.update(Metric.withAttributes(deliveries, { status }), found.get(status) ?? 0)
})
