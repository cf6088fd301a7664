import { contract, type DeadLetter, DeadLetterNotFound, PAGE_SIZE } from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { makeCursor, toPage } from "../../platform/db/pagination.ts"
import { withIdempotency } from "../../platform/idempotency/idempotency.ts"
import type { Call } from "../../platform/trpc/adapter.ts"
import { listDead, revive } from "./repository.ts"

const cursor = makeCursor(Schema.Struct({ delivery: Schema.Int }))

export const deadLetters = Effect.fn("deadLetters")(function* ({
  input
}: Call<typeof contract.admin.deadLetters>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).delivery
  const limit = input.limit ?? PAGE_SIZE.default
  const rows = yield* listDead(before, limit + 1)
  const letters = rows.map((row): DeadLetter => ({
    deliveryId: row.id,
    eventId: row.event_id,
    topic: row.topic,
    body: row.body,
    attempts: row.attempts,
    lastError: row.last_error ?? "",
    lastAttemptAt: row.last_attempt_at ?? new Date(0)
  }))
  return toPage(letters, limit, ({ deliveryId }) => cursor.encode({ delivery: deliveryId }))
})

export const retryDelivery = Effect.fn("retryDelivery")(function* (
  call: Call<typeof contract.admin.retryDelivery>
) {
  const { caller, input, request } = call
  const { deliveryId } = input
  return yield* withIdempotency(
    { procedure: contract.admin.retryDelivery, userId: caller.userId, request, input },
    Effect.gen(function* () {
      if (!(yield* revive(deliveryId))) return yield* new DeadLetterNotFound({ deliveryId })
      return { deliveryId }
    })
  )
})
