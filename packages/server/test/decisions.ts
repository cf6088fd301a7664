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
 * A refusal changes nothing: without a refused item, all others get the same outcomes.
 */
export const expectFairDecision = <Item, A, E>(
  items: ReadonlyArray<Item>,
  decide: (items: ReadonlyArray<Item>) => ReadonlyArray<Result.Result<A, E>>
): void => {
  const outcomes = decide(items)
  expect(outcomes).toHaveLength(items.length)
  const half = Math.ceil(items.length / 2)
  expect(decide(items.slice(0, half))).toEqual(outcomes.slice(0, half))
  outcomes.forEach((outcome, refused) => {
    if (Result.isSuccess(outcome)) return
    expect(decide(items.toSpliced(refused, 1))).toEqual(outcomes.toSpliced(refused, 1))
  })
}

/**
 * The definition of a decision over a list: each item is decided alone, on the state that the accepted items before it
 * leave. `after` applies one accepted item to the state.
 */
export const expectDecidedOneByOne = <State, Item, A, E>(
  state: State,
  items: ReadonlyArray<Item>,
  decide: (state: State, items: ReadonlyArray<Item>) => ReadonlyArray<Result.Result<A, E>>,
  after: (state: State, accepted: A) => State
): void => {
  let current = state
  const alone = items.map((item) => {
    const outcome = decide(current, [item])[0]!
    if (Result.isSuccess(outcome)) current = after(current, outcome.success)
    return outcome
  })
  expect(decide(state, items)).toEqual(alone)
}

/** A copy of the map with one more entry. */
export const withEntry = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): Map<K, V> =>
  new Map(map).set(key, value)
