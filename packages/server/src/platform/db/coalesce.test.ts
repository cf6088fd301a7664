import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { makeCoalesced } from "./coalesce.ts"

/** A read that ends when the test says so, and counts how often it was started. */
const controlled = Effect.gen(function* () {
  const started: Array<{ readonly key: string; readonly end: Deferred.Deferred<number, string> }> = []
  const read = yield* makeCoalesced((key: string) =>
    Effect.suspend(() => {
      const end = Deferred.makeUnsafe<number, string>()
      started.push({ key, end })
      return Deferred.await(end)
    })
  )
  const ask = (key: string) => Effect.forkChild(read(key), { startImmediately: true })
  const settle = Effect.repeat(Effect.yieldNow, { times: 20 })
  return { ask, settle, started }
})

describe("coalesced reads", () => {
  it.effect(
    "all who ask while a read is under way share the next one, and none gets an answer from before",
    () =>
      Effect.gen(function* () {
        const { ask, settle, started } = yield* controlled
        const first = yield* ask("a")
        const others = [yield* ask("a"), yield* ask("a"), yield* ask("a")]
        yield* settle
        assert.strictEqual(started.length, 1)
        yield* Deferred.succeed(started[0]!.end, 1)
        assert.strictEqual(yield* Fiber.join(first), 1)
        yield* settle
        assert.strictEqual(started.length, 2)
        yield* Deferred.succeed(started[1]!.end, 2)
        for (const other of others) assert.strictEqual(yield* Fiber.join(other), 2)
        const later = yield* ask("a")
        yield* settle
        assert.strictEqual(started.length, 3)
        yield* Deferred.succeed(started[2]!.end, 3)
        assert.strictEqual(yield* Fiber.join(later), 3)
      }).pipe(Effect.scoped)
  )

  it.effect("keys do not wait for each other, and a failure is that of its own callers only", () =>
    Effect.gen(function* () {
      const { ask, settle, started } = yield* controlled
      const [a, b] = [yield* ask("a"), yield* ask("b")]
      const next = yield* ask("a")
      yield* settle
      yield* Deferred.fail(started[0]!.end, "away")
      yield* Deferred.succeed(started[1]!.end, 2)
      assert.deepStrictEqual(yield* Fiber.await(a), Exit.fail("away"))
      assert.strictEqual(yield* Fiber.join(b), 2)
      yield* settle
      yield* Deferred.succeed(started[2]!.end, 3)
      assert.strictEqual(yield* Fiber.join(next), 3)
    }).pipe(Effect.scoped)
  )

  it.effect("a caller who goes away takes nothing from the others", () =>
    Effect.gen(function* () {
      const { ask, settle, started } = yield* controlled
      const leaver = yield* ask("a")
      const stays = yield* ask("a")
      yield* Fiber.interrupt(leaver)
      yield* settle
      yield* Deferred.succeed(started[0]!.end, 1)
      yield* settle
      yield* Deferred.succeed(started[1]!.end, 2)
      assert.strictEqual(yield* Fiber.join(stays), 2)
    }).pipe(Effect.scoped)
  )
})
