import { assert, describe, it } from "@effect/vitest"
import { ServiceUnavailable } from "@holdfast/domain"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeLiveQuery } from "./live-query.ts"

interface Look {
  readonly keys: ReadonlyArray<string>
  /** Ends the look with these versions. */
  readonly find: (versions: Readonly<Record<string, number>>) => Effect.Effect<void>
  readonly fail: Effect.Effect<void>
}

/** A board whose looks end when the test says so; a state is its own version. */
const controlled = Effect.gen(function* () {
  const looks: Array<Look> = []
  const board = yield* makeLiveQuery<string, number, never>({
    versionOf: (version) => version,
    read: (keys) =>
      Effect.suspend(() => {
        const end = Deferred.makeUnsafe<ReadonlyMap<string, number>, ServiceUnavailable>()
        looks.push({
          keys,
          find: (versions) =>
            Effect.andThen(Deferred.succeed(end, new Map(Object.entries(versions))), settle),
          fail: Effect.andThen(Deferred.fail(end, new ServiceUnavailable({ retryAfterMs: 1 })), settle)
        })
        return Deferred.await(end)
      })
  })
  const watch = (key: string, isSettled = true) =>
    Effect.gen(function* () {
      const seen: Array<number | undefined> = []
      const fiber = yield* board.watch(key).pipe(
        Stream.runForEach((state) => Effect.sync(() => void seen.push(state))),
        Effect.forkChild({ startImmediately: true })
      )
      if (isSettled) yield* settle
      return { seen, fiber }
    })
  return { board, looks, watch }
})

/** Lets everything happen that needs no further event, the board's rest included. */
const settle = Effect.andThen(
  Effect.repeat(Effect.yieldNow, { times: 20 }),
  Effect.andThen(TestClock.adjust("20 millis"), Effect.repeat(Effect.yieldNow, { times: 20 }))
)

describe("a board", () => {
  it.effect("tells the state as it is, then what changes, to all who watch by one look", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* looks[0]!.find({ a: 1 })
      const bob = yield* watch("a")
      yield* looks[1]!.find({ a: 1 })
      board.refresh(["a", "nobody watches this"])
      yield* settle
      assert.deepStrictEqual(looks[2]!.keys, ["a"])
      yield* looks[2]!.find({ a: 2 })
      assert.deepStrictEqual(
        [ann.seen, bob.seen],
        [
          [1, 2],
          [1, 2]
        ]
      )
      assert.strictEqual(looks.length, 3)
    })
  )

  it.effect("changes that are announced during a look are seen by one further look", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      for (let change = 0; change < 50; change += 1) board.refresh(["a"])
      yield* settle
      yield* looks[0]!.find({ a: 1 })
      yield* looks[1]!.find({ a: 50 })
      assert.deepStrictEqual(ann.seen, [1, 50])
      assert.strictEqual(looks.length, 2)
    })
  )

  it.effect("never goes back, and tells nothing twice", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* looks[0]!.find({ a: 5 })
      for (const [look, version] of [5, 4, 6].entries()) {
        board.refreshAll()
        yield* settle
        yield* looks[look + 1]!.find({ a: version })
      }
      assert.deepStrictEqual(ann.seen, [5, 6])
    })
  )

  it.effect("tells nobody what was read before they asked", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* looks[0]!.find({ a: 1 })
      board.refresh(["a"])
      yield* settle
      // This look began before bob came: he may have seen more already, on another connection.
      const bob = yield* watch("a")
      yield* looks[1]!.find({ a: 2 })
      assert.deepStrictEqual([ann.seen, bob.seen], [[1, 2], []])
      yield* looks[2]!.find({ a: 3 })
      assert.deepStrictEqual([ann.seen, bob.seen], [[1, 2, 3], [3]])
    })
  )

  it.effect("keeps one state for a slow reader: the latest", () =>
    Effect.gen(function* () {
      const { board, looks } = yield* controlled
      const taken = yield* Deferred.make<void>()
      const seen: Array<number | undefined> = []
      yield* board.watch("a").pipe(
        Stream.runForEach((state) =>
          Effect.andThen(
            Effect.sync(() => void seen.push(state)),
            Deferred.await(taken)
          )
        ),
        Effect.forkChild({ startImmediately: true })
      )
      yield* settle
      for (let version = 1; version <= 1_000; version += 1) {
        yield* looks.at(-1)!.find({ a: version })
        board.refresh(["a"])
        yield* settle
      }
      yield* Deferred.succeed(taken, undefined)
      yield* settle
      assert.deepStrictEqual(seen, [1, 1_000])
    })
  )

  it.effect("lets a key rest that many watch, but not those who have just come", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const crowd = []
      for (let count = 0; count < 1_000; count += 1) crowd.push(yield* watch("a", false))
      yield* settle
      // The first look began before most of them came; the second one tells them all, so the key rests for half a second.
      yield* looks[0]!.find({ a: 1 })
      yield* looks[1]!.find({ a: 1 })
      board.refresh(["a"])
      yield* settle
      yield* looks[2]!.find({ a: 2 })
      const late = yield* watch("a")
      yield* looks[3]!.find({ a: 3 })
      assert.deepStrictEqual([crowd[0]!.seen, crowd[999]!.seen, late.seen], [[1], [1], [3]])
      assert.strictEqual(looks.length, 4)
      yield* TestClock.adjust("500 millis")
      yield* settle
      yield* looks[4]!.find({ a: 3 })
      assert.deepStrictEqual([crowd[0]!.seen, crowd[999]!.seen, late.seen], [[1, 3], [1, 3], [3]])
    })
  )

  it.effect("says that there is nothing, and that it cannot look, to those who have seen nothing yet", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* looks[0]!.find({ a: 1 })
      const bob = yield* watch("a")
      yield* looks[1]!.fail
      const exit = yield* Fiber.await(bob.fiber)
      assert.deepStrictEqual(exit, Exit.fail(new ServiceUnavailable({ retryAfterMs: 1 })))
      const nobody = yield* watch("b")
      yield* looks[2]!.find({})
      assert.deepStrictEqual(nobody.seen, [undefined])
      board.refresh(["a"])
      yield* settle
      yield* looks[3]!.find({ a: 2 })
      assert.deepStrictEqual(ann.seen, [1, 2])
    })
  )

  it.effect("does not look at what nobody watches any more", () =>
    Effect.gen(function* () {
      const { board, looks, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* looks[0]!.find({ a: 1 })
      yield* Fiber.interrupt(ann.fiber)
      board.refresh(["a"])
      board.refreshAll()
      yield* settle
      assert.strictEqual(looks.length, 1)
    })
  )
})
