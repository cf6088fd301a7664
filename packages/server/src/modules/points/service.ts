import {
  type AmountMinor,
  BalanceLimitExceeded,
  ChargeAmountNotAllowed,
  ChargeLimitExceeded,
  contract,
  InsufficientPoints,
  type OrderId,
  PAGE_SIZE,
  Points,
  PointsChargeLock,
  type UserId,
  UserNotFound
} from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { ServerConfig, type ServerSettings } from "../../config.ts"
import { Cache, invalidate } from "../../platform/cache/cache.ts"
import { makeCursor, toPage } from "../../platform/db/pagination.ts"
import { withIdempotency } from "../../platform/idempotency/idempotency.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { withLock } from "@holdfast/locks"
import type { Call } from "../../platform/trpc/adapter.ts"
import { mapLockErrors } from "../../platform/trpc/lock-errors.ts"
import {
  lockBalance,
  countCharges,
  insertPointMovement,
  listPointMovements,
  moveBalance,
  readBalance
} from "./repository.ts"

/** The largest balance that is exact everywhere it travels. */
const MAXIMUM_BALANCE = Number.MAX_SAFE_INTEGER

export const balance = Effect.fn("balance")(function* ({ caller }: Call<typeof contract.points.balance>) {
  const cache = yield* Cache
  const tag = balanceTag(caller.userId)
  const load = () =>
    Effect.map(readBalance(caller.userId), (account) => new Map([[tag, account?.balance ?? 0]]))
  const kept = yield* cache.getMany([{ name: tag, tag }], load)
  return { balance: Points.make(kept.get(tag) as number) }
})

/** The tag of all that depends on the balance of an account. */
export const balanceTag = (userId: string): string => `balance:${userId}`

/** After a movement of the account was committed: whoever asks from now on gets the new balance. */
export const forgetBalance = (userId: UserId) => invalidate([balanceTag(userId)])

export const grant = Effect.fn("grant")(function* ({
  caller,
  input,
  request
}: Call<typeof contract.admin.grantPoints>) {
  return yield* withIdempotency(
    { procedure: contract.admin.grantPoints, userId: caller.userId, request, input },
    credit(input.userId, input.amount, { kind: "grant", reason: input.reason })
  ).pipe(Effect.tap(() => forgetBalance(input.userId)))
})

export const charge = Effect.fn("charge")(function* ({
  caller,
  input,
  request
}: Call<typeof contract.points.charge>) {
  const { charges: policy } = yield* ServerConfig
  yield* checkAmount(input.amount, policy)
  const mutation = { procedure: contract.points.charge, userId: caller.userId, request, input }
  return yield* withIdempotency(mutation, chargeWithin(policy, caller.userId, input.amount)).pipe(
    withLock(PointsChargeLock, caller.userId),
    mapLockErrors,
    Effect.tap(() => forgetBalance(caller.userId))
  )
})

type ChargePolicy = ServerSettings["charges"]

/** An amount below the minimum is no multiple of anything yet, so the bounds come before the step. */
const checkAmount = Effect.fnUntraced(function* (amount: number, { maximum, minimum, step }: ChargePolicy) {
  const limit =
    amount < minimum ? "minimum" : amount > maximum ? "maximum" : amount % step > 0 ? "step" : undefined
  if (limit !== undefined) {
    return yield* new ChargeAmountNotAllowed({ amount, limit, minimum, maximum, step })
  }
})

/** The account's row lock comes first: whoever charges it at the same time waits there, and is then counted. */
const chargeWithin = Effect.fnUntraced(function* (policy: ChargePolicy, userId: UserId, amount: number) {
  yield* lockBalance(userId)
  const { now, this_month, today } = yield* countCharges(userId)
  if (this_month >= policy.perMonth) {
    const resetsAt = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1))
    return yield* new ChargeLimitExceeded({ limit: "month", maximum: policy.perMonth, resetsAt })
  }
  if (today >= policy.perDay) {
    const resetsAt = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1))
    return yield* new ChargeLimitExceeded({ limit: "day", maximum: policy.perDay, resetsAt })
  }
  return yield* credit(userId, amount, { kind: "charge" }).pipe(Effect.catchTag("UserNotFound", Effect.die))
})

const cursor = makeCursor(Schema.Struct({ movement: Schema.Int }))

export const history = Effect.fn("history")(function* ({
  caller,
  input
}: Call<typeof contract.points.history>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).movement
  const limit = input.limit ?? PAGE_SIZE.default
  const found = yield* listPointMovements(caller.userId, before, limit + 1)
  const page = toPage(found, limit, ({ id }) => cursor.encode({ movement: id }))
  return { ...page, items: page.items.map(({ movement }) => movement) }
})

/** What the ledger keeps of a credit. */
type Credit =
  | { readonly kind: "grant"; readonly reason: string }
  | { readonly kind: "charge" }
  | { readonly kind: "refund"; readonly orderId: OrderId }

const credit = Effect.fnUntraced(function* (userId: UserId, amount: number, entry: Credit) {
  const balanceAfter = yield* moveBalance(userId, amount, MAXIMUM_BALANCE)
  if (balanceAfter === undefined) {
    const balanceNow = yield* lockBalance(userId)
    return yield* balanceNow === undefined
      ? new UserNotFound({ userId })
      : new BalanceLimitExceeded({ balance: balanceNow, maximum: MAXIMUM_BALANCE })
  }
  yield* insertPointMovement({ userId, delta: amount, balanceAfter, ...entry })
  yield* insertOutbox("points.credited", { userId, amount, kind: entry.kind })
  return { balance: Points.make(balanceAfter) }
})

/** Takes the price of an order from its buyer's account, inside the payment's transaction. */
export const debitForOrder = Effect.fnUntraced(function* (
  userId: UserId,
  orderId: OrderId,
  amountMinor: AmountMinor
) {
  const delta = 0 - amountMinor
  const balanceAfter = yield* moveBalance(userId, delta, MAXIMUM_BALANCE)
  if (balanceAfter === undefined) {
    return yield* new InsufficientPoints({
      required: amountMinor,
      available: (yield* lockBalance(userId)) ?? 0
    })
  }
  yield* insertPointMovement({ userId, delta, balanceAfter, kind: "payment", orderId })
})

/** Gives a cancelled order's points back, inside the cancellation's transaction. */
export const creditForOrder = (userId: UserId, orderId: OrderId, amountMinor: AmountMinor) =>
  credit(userId, amountMinor, { kind: "refund", orderId }).pipe(
    // The points were this account's own, so they fit; and accounts are never deleted.
    Effect.catchTag(["UserNotFound", "BalanceLimitExceeded"], Effect.die)
  )
