import { type contract, isFinal, OrderNotFound } from "@holdfast/domain"
import { Effect, Stream } from "effect"
import { asEvents } from "../../platform/trpc/events.ts"
import type { Call } from "../../platform/trpc/adapter.ts"
import { LiveOrders } from "./order-live.ts"

/** The order's state and every later one, until there is none left. A stranger's order answers as if it did not exist. */
export const watchOrder = ({ caller, input, request }: Call<typeof contract.orders.watch>) =>
  Stream.unwrap(Effect.map(LiveOrders, (board) => board.watch(input.orderId))).pipe(
    Stream.mapEffect((found) =>
      found !== undefined && (found.userId === caller.userId || caller.role === "admin")
        ? Effect.succeed(found.state)
        : new OrderNotFound({ orderId: input.orderId })
    ),
    Stream.takeUntil(({ status }) => isFinal(status)),
    asEvents(({ status }) => status, request.lastEventId)
  )
