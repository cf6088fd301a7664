import { Schema } from "effect"

/** What an order goes through. */
export const OrderStatus = Schema.Literals([
  "PENDING",
  "PAID",
  "SHIPPED",
  "DELIVERED",
  "COMPLETED",
  "CANCELLED"
])
export type OrderStatus = typeof OrderStatus.Type

/** Every step that an order may take; what is not in this table never happens. */
export const orderTransitions: { readonly [From in OrderStatus]: ReadonlyArray<OrderStatus> } = {
  PENDING: ["PAID", "CANCELLED"],
  PAID: ["SHIPPED", "CANCELLED"],
  SHIPPED: ["DELIVERED"],
  DELIVERED: ["COMPLETED"],
  COMPLETED: [],
  CANCELLED: []
}

/** Whether an order may go from one status straight to the other. */
export const canBecome = (from: OrderStatus, to: OrderStatus): boolean => orderTransitions[from].includes(to)

/** Whether an order stays in this status for ever. */
export const isFinal = (status: OrderStatus): boolean => orderTransitions[status].length === 0

/** A number that rises with every step an order takes, whichever way it goes. */
export const stageOf = (status: OrderStatus): number => OrderStatus.literals.indexOf(status)
