import { Deferred, Effect, Exit, Fiber } from "effect"
import { expect, test } from "vitest"
import { makeFairQueue } from "./fair-queue.ts"

/** A queue in which each work waits until the test ends it, in the order in which the works began. */
const setUp = (waiting: number, waitingOfOne: number) => {
  const queue = makeFairQueue({ atOnce: 1, waiting, waitingOfOne })
  const began: Array<string> = []
  const ends: Array<Deferred.Deferred<void>> = []
  const enter = (caller: string, name = caller) =>
    Effect.runFork(
      queue(
        caller,
        Effect.suspend(() => {
          const end = Deferred.makeUnsafe<void>()
          began.push(name)
          ends.push(end)
          return Deferred.await(end)
        })
      )
    )
  const endNext = () => Effect.runPromise(Deferred.succeed(ends.shift()!, undefined))
  return { began, ends, enter, endNext }
}

const exitOf = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.runPromise(Fiber.await(fiber))

test("callers take turns: who comes behind a crowd waits for one work of each of the others", async () => {
  const { began, endNext, enter, ends } = setUp(1_000, 1_000)
  for (let n = 0; n < 200; n += 1) for (const attacker of ["a", "b"]) enter(attacker)
  enter("honest")
  for (let n = 0; n < 5; n += 1) await endNext()
  expect(began.indexOf("honest")).toBeLessThanOrEqual(4)
  while (ends.length > 0) await endNext()
  expect(began).toHaveLength(401)
})

test("one caller has so many waiting; the next is refused at once", async () => {
  const { endNext, enter, ends } = setUp(1_000, 3)
  const fibers = Array.from({ length: 6 }, () => enter("a"))
  expect(await exitOf(fibers[4]!)).toMatchObject({ _tag: "Failure" })
  expect(await exitOf(fibers[5]!)).toMatchObject({ _tag: "Failure" })
  while (ends.length > 0) await endNext()
  for (const fiber of fibers.slice(0, 4)) expect(Exit.isSuccess(await exitOf(fiber))).toBe(true)
})

test("when all places are taken, the caller with the most gives one up to a new one", async () => {
  const { began, endNext, enter, ends } = setUp(4, 4)
  enter("a", "first")
  const crowd = Array.from({ length: 4 }, (_, n) => enter("a", `a${n}`))
  const honest = enter("b")
  expect(await exitOf(crowd[3]!)).toMatchObject({ _tag: "Failure" })
  while (ends.length > 0) await endNext()
  expect(Exit.isSuccess(await exitOf(honest))).toBe(true)
  expect(began).toEqual(["first", "a0", "b", "a1", "a2"])
})

test("who leaves while waiting, or while working, gives the place back", async () => {
  const { began, endNext, enter, ends } = setUp(10, 10)
  const working = enter("a")
  const waiting = enter("b")
  const last = enter("c")
  await Effect.runPromise(Fiber.interrupt(waiting))
  await Effect.runPromise(Fiber.interrupt(working))
  expect(began).toEqual(["a", "c"])
  ends.shift()
  await endNext()
  expect(Exit.isSuccess(await exitOf(last))).toBe(true)
})
