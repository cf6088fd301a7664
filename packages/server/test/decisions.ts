import { OrderId, Sku, UserCouponId, UserId } from "@holdfast/domain"
import { Result } from "effect"
import { expect } from "vitest"

const idOf = (kind: number, n: number) =>
  `01890000-0000-7000-8${String(kind).padStart(3, "0")}-${String(n).padStart(12, "0")}`

/** Ids and SKUs that properties draw from a small number, so that they meet. */
export const userId = (n: number) => UserId.make(idOf(1, n))
export const orderId = (n: number) => OrderId.make(idOf(2, n))
export const userCouponId = (n: number) => UserCouponId.make(idOf(3, n))
export const sku = (n: number) => Sku.make(`sku-${n}`)

/** The moment at which properties decide. */
export const NOW = new Date("2030-01-01T00:00:00.000Z")

/** The successes of a decision, in order of arrival. */
export const accepted = <A, E>(outcomes: ReadonlyArray<Result.Result<A, E>>): ReadonlyArray<A> =>
  outcomes.flatMap((outcome) => (Result.isSuccess(outcome) ? [outcome.success] : []))

/**
 * What holds for every decision over a list. First come, first served: items that arrive later change no earlier outcome.
 * A refusal changes nothing: without the refused items, the accepted ones get the same outcomes.
 */
export const expectFairDecision = <Item, A, E>(
  items: ReadonlyArray<Item>,
  decide: (items: ReadonlyArray<Item>) => ReadonlyArray<Result.Result<A, E>>
): void => {
  const outcomes = decide(items)
  expect(outcomes).toHaveLength(items.length)
  const half = Math.ceil(items.length / 2)
  expect(decide(items.slice(0, half))).toEqual(outcomes.slice(0, half))
  const kept = items.filter((_, index) => Result.isSuccess(outcomes[index]!))
  expect(decide(kept)).toEqual(outcomes.filter(Result.isSuccess))
}
