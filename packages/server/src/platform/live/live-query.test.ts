import { assert, describe, it } from "@effect/vitest"
import { ServiceUnavailable } from "@holdfast/domain"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeLiveQuery } from "./live-query.ts"

interface Refresh {
  readonly keys: ReadonlyArray<string>
  /** Ends the refresh with these versions. */
  readonly find: (versions: Readonly<Record<string, number>>) => Effect.Effect<void>
  readonly fail: Effect.Effect<void>
}

/** A live query whose refreshes end when the test says so; a state is its own version. */
const controlled = Effect.gen(function* () {
  const refreshes: Array<Refresh> = []
  const query = yield* makeLiveQuery<string, number, never>({
    versionOf: (version) => version,
    read: (keys) =>
      Effect.suspend(() => {
        const end = Deferred.makeUnsafe<ReadonlyMap<string, number>, ServiceUnavailable>()
        refreshes.push({
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
      const fiber = yield* query.watch(key).pipe(
        Stream.runForEach((state) => Effect.sync(() => void seen.push(state))),
        Effect.forkChild({ startImmediately: true })
      )
      if (isSettled) yield* settle
      return { seen, fiber }
    })
  return { query, refreshes, watch }
})

/** Lets everything happen that needs no further event, the pause after a refresh included. */
const settle = Effect.andThen(
  Effect.repeat(Effect.yieldNow, { times: 20 }),
  Effect.andThen(TestClock.adjust("20 millis"), Effect.repeat(Effect.yieldNow, { times: 20 }))
)

describe("a live query", () => {
  it.effect("serves the current state and later changes to all subscribers with one refresh", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* refreshes[0]!.find({ a: 1 })
      const bob = yield* watch("a")
      yield* refreshes[1]!.find({ a: 1 })
      query.refresh(["a", "has no subscriber"])
      yield* settle
      assert.deepStrictEqual(refreshes[2]!.keys, ["a"])
      yield* refreshes[2]!.find({ a: 2 })
      assert.deepStrictEqual(
        [ann.seen, bob.seen],
        [
          [1, 2],
          [1, 2]
        ]
      )
      assert.strictEqual(refreshes.length, 3)
    })
  )

  it.effect("changes during a refresh cause one further refresh", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      for (let change = 0; change < 50; change += 1) query.refresh(["a"])
      yield* settle
      yield* refreshes[0]!.find({ a: 1 })
      yield* refreshes[1]!.find({ a: 50 })
      assert.deepStrictEqual(ann.seen, [1, 50])
      assert.strictEqual(refreshes.length, 2)
    })
  )

  it.effect("never sends an older state, or the same one twice", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* refreshes[0]!.find({ a: 5 })
      for (const [index, version] of [5, 4, 6].entries()) {
        query.refreshAll()
        yield* settle
        yield* refreshes[index + 1]!.find({ a: version })
      }
      assert.deepStrictEqual(ann.seen, [5, 6])
    })
  )

  it.effect("never sends a subscriber what was read before it subscribed", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* refreshes[0]!.find({ a: 1 })
      query.refresh(["a"])
      yield* settle
      // This refresh began before bob subscribed: he may have seen a later state on another connection.
      const bob = yield* watch("a")
      yield* refreshes[1]!.find({ a: 2 })
      assert.deepStrictEqual([ann.seen, bob.seen], [[1, 2], []])
      yield* refreshes[2]!.find({ a: 3 })
      assert.deepStrictEqual([ann.seen, bob.seen], [[1, 2, 3], [3]])
    })
  )

  it.effect("keeps only the latest state for a slow subscriber", () =>
    Effect.gen(function* () {
      const { query, refreshes } = yield* controlled
      const taken = yield* Deferred.make<void>()
      const seen: Array<number | undefined> = []
      yield* query.watch("a").pipe(
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
        yield* refreshes.at(-1)!.find({ a: version })
        query.refresh(["a"])
        yield* settle
      }
      yield* Deferred.succeed(taken, undefined)
      yield* settle
      assert.deepStrictEqual(seen, [1, 1_000])
    })
  )

  it.effect("throttles a key with many subscribers, except for new ones", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const crowd = []
      for (let count = 0; count < 1_000; count += 1) crowd.push(yield* watch("a", false))
      yield* settle
      // The first refresh began before most of them subscribed; the second serves all, and throttles for half a second.
      yield* refreshes[0]!.find({ a: 1 })
      yield* refreshes[1]!.find({ a: 1 })
      query.refresh(["a"])
      yield* settle
      yield* refreshes[2]!.find({ a: 2 })
      const late = yield* watch("a")
      yield* refreshes[3]!.find({ a: 3 })
      assert.deepStrictEqual([crowd[0]!.seen, crowd[999]!.seen, late.seen], [[1], [1], [3]])
      assert.strictEqual(refreshes.length, 4)
      yield* TestClock.adjust("500 millis")
      yield* settle
      yield* refreshes[4]!.find({ a: 3 })
      assert.deepStrictEqual([crowd[0]!.seen, crowd[999]!.seen, late.seen], [[1, 3], [1, 3], [3]])
    })
  )

  it.effect("reports a missing key and a failed refresh to subscribers without any state", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* refreshes[0]!.find({ a: 1 })
      const bob = yield* watch("a")
      yield* refreshes[1]!.fail
      const exit = yield* Fiber.await(bob.fiber)
      assert.deepStrictEqual(exit, Exit.fail(new ServiceUnavailable({ retryAfterMs: 1 })))
      const missing = yield* watch("b")
      yield* refreshes[2]!.find({})
      assert.deepStrictEqual(missing.seen, [undefined])
      query.refresh(["a"])
      yield* settle
      yield* refreshes[3]!.find({ a: 2 })
      assert.deepStrictEqual(ann.seen, [1, 2])
    })
  )

  it.effect("does not refresh a key without subscribers", () =>
    Effect.gen(function* () {
      const { query, refreshes, watch } = yield* controlled
      const ann = yield* watch("a")
      yield* refreshes[0]!.find({ a: 1 })
      yield* Fiber.interrupt(ann.fiber)
      query.refresh(["a"])
      query.refreshAll()
      yield* settle
      assert.strictEqual(refreshes.length, 1)
    })
  )
})
