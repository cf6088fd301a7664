import { expect, test } from "vitest"
import { failureOf } from "../testing/failure-of.ts"
import { makeLimiter, QueueFull } from "./limiter.ts"

const { signal } = new AbortController()

test("grants permits in order of arrival", async () => {
  const limiter = makeLimiter(1, 5)
  const order: Array<number> = []
  const work = async (number: number) => {
    const release = await limiter.acquire(signal)
    order.push(number)
    release()
  }
  await Promise.all([1, 2, 3, 4].map(work))
  expect(order).toEqual([1, 2, 3, 4])
  expect(limiter.isContended()).toBe(false)
})

test("lets a waiter leave and gives its place in the queue to another", async () => {
  const limiter = makeLimiter(1, 1)
  const release = await limiter.acquire(signal)
  const leaving = new AbortController()
  const left = failureOf(limiter.acquire(leaving.signal))
  expect(await failureOf(limiter.acquire(signal))).toBeInstanceOf(QueueFull)
  leaving.abort(new Error("left"))
  expect(await left).toMatchObject({ message: "left" })
  const next = limiter.acquire(signal)
  release()
  expect(await next).toBeTypeOf("function")
})

test("needs no more of a signal than React Native's have", async () => {
  class BasicSignal extends EventTarget {
    aborted = false
  }
  const signal = new BasicSignal() as unknown as AbortSignal
  const release = await makeLimiter(1, 1).acquire(signal)
  expect(release).toBeInstanceOf(Function)
})
