import { expect, test } from "vitest"
import { isFinal, OrderStatus, orderTransitions, stageOf } from "./orders.ts"

test("every status change of an order leads to a later stage, so the newer of two states can be told", () => {
  const steps = OrderStatus.literals.flatMap((from) =>
    orderTransitions[from].map((to) => stageOf(to) - stageOf(from))
  )
  expect(steps).toHaveLength(6)
  expect(steps.filter((difference) => difference <= 0)).toEqual([])
})

test("COMPLETED and CANCELLED are the final statuses", () => {
  expect(OrderStatus.literals.filter(isFinal)).toEqual(["COMPLETED", "CANCELLED"])
})
