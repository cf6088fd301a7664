import { expect, test } from "vitest"
import { isFinal, OrderStatus, orderTransitions, stageOf } from "./order-status.ts"

test("every step that an order may take leads to a later stage, so that a state tells whether it is newer", () => {
  const steps = OrderStatus.literals.flatMap((from) =>
    orderTransitions[from].map((to) => stageOf(to) - stageOf(from))
  )
  expect(steps).toHaveLength(6)
  expect(steps.filter((difference) => difference <= 0)).toEqual([])
})

test("an order stays COMPLETED or CANCELLED", () => {
  expect(OrderStatus.literals.filter(isFinal)).toEqual(["COMPLETED", "CANCELLED"])
})
