import {
  type AmountMinor,
  BalanceLimitExceeded,
  contract,
  InsufficientPoints,
  type OrderId,
  Points,
  type UserId,
  UserNotFound
} from "@holdfast/domain"
import { Effect } from "effect"
import { exactlyOnce } from "../../db/exactlyOnce.ts"
import type { Call } from "../../rpc/implement.ts"
import { balanceInTransaction, insertPointMovement, moveBalance, readBalance } from "./queries.ts"

/** The largest balance that is exact everywhere it travels. */
const MAXIMUM_BALANCE = Number.MAX_SAFE_INTEGER

export const balance = Effect.fn("balance")(function* ({ caller }: Call<typeof contract.points.balance>) {
  const account = yield* readBalance(caller.userId)
  return { balance: Points.make(account?.balance ?? 0) }
})

export const grant = Effect.fn("grant")(function* ({
  caller,
  input,
  request
}: Call<typeof contract.points.grant>) {
  return yield* exactlyOnce(
    { procedure: contract.points.grant, userId: caller.userId, request, input },
    credit(input.userId, input.amount, input.reason)
  )
})

const credit = Effect.fnUntraced(function* (userId: UserId, amount: number, reason: string) {
  const isCredited = yield* moveBalance(userId, amount, MAXIMUM_BALANCE)
  const balanceAfter = yield* balanceInTransaction(userId)
  if (balanceAfter === undefined) return yield* new UserNotFound({ userId })
  if (!isCredited) return yield* new BalanceLimitExceeded({ balance: balanceAfter, maximum: MAXIMUM_BALANCE })
  yield* insertPointMovement({ userId, delta: amount, balanceAfter, kind: "grant", reason })
  return { balance: Points.make(balanceAfter) }
})

/** Takes the price of an order from its buyer's account, inside the payment's transaction. */
export const debitForOrder = Effect.fnUntraced(function* (
  userId: UserId,
  orderId: OrderId,
  amountMinor: AmountMinor
) {
  const delta = 0 - amountMinor
  const isDebited = yield* moveBalance(userId, delta, MAXIMUM_BALANCE)
  const balanceAfter = (yield* balanceInTransaction(userId)) ?? 0
  if (!isDebited) return yield* new InsufficientPoints({ required: amountMinor, available: balanceAfter })
  yield* insertPointMovement({ userId, delta, balanceAfter, kind: "payment", orderId })
})
