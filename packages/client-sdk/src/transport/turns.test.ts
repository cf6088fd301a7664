import { expect, it } from "vitest"
import { failureOf } from "../testing/failure-of.ts"
import { makeTurns, TooManyWaiting } from "./turns.ts"

const { signal } = new AbortController()

it("gives turns in the order in which they were asked for", async () => {
  const turns = makeTurns(1, 5)
  const order: Array<number> = []
  const acquireLease = async (number: number) => {
    const giveBack = await turns.take(signal)
    order.push(number)
    giveBack()
  }
  await Promise.all([1, 2, 3, 4].map(acquireLease))
  expect(order).toEqual([1, 2, 3, 4])
  expect(turns.isContended()).toBe(false)
})

it("lets one who waits leave, and gives the place to another", async () => {
  const turns = makeTurns(1, 1)
  const giveBack = await turns.take(signal)
  const leaving = new AbortController()
  const left = failureOf(turns.take(leaving.signal))
  expect(await failureOf(turns.take(signal))).toBeInstanceOf(TooManyWaiting)
  leaving.abort(new Error("left"))
  expect(await left).toMatchObject({ message: "left" })
  const next = turns.take(signal)
  giveBack()
  expect(await next).toBeTypeOf("function")
})
