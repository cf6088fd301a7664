import { ServiceUnavailable } from "@holdfast/domain"
import { Deferred, Effect, Fiber, type Scope } from "effect"
import { expect, test } from "vitest"
import { makeBatchedRead } from "./batched-read.ts"
import { Database } from "./database.ts"

const unavailable = new ServiceUnavailable({ retryAfterMs: 1 })

/** Reads whose answers the test lets through. Each row is the number of the read that has read it. */
const reads = Effect.gen(function* () {
  const batches: Array<ReadonlyArray<string>> = []
  let gate = yield* Deferred.make<void, ServiceUnavailable>()
  const read = yield* makeBatchedRead((keys: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      batches.push(keys)
      const nth = batches.length
      return Effect.as(
        Deferred.await(gate),
        new Map(keys.filter((key) => key !== "none").map((key) => [key, nth]))
      )
    })
  )
  const open = (outcome: Effect.Effect<void, ServiceUnavailable> = Effect.void) => {
    const opened = gate
    gate = Deferred.makeUnsafe()
    return Deferred.complete(opened, outcome)
  }
  return { batches, open, read }
})

const run = <A>(effect: Effect.Effect<A, unknown, Database | Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provideService(Database, {} as Database["Service"])))

/** Lets every fiber go on that can. */
const settled = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
)

const ask = (read: { readonly awaited: (key: string) => Effect.Effect<unknown, unknown> }, key: string) =>
  Effect.forkChild(Effect.exit(read.awaited(key)), { startImmediately: true })

// Guarantees: nobody gets a row that was read before they asked, and all who ask during a read share the next one.
test("callers that come during a read share the next one", () =>
  run(
    Effect.gen(function* () {
      const { batches, open, read } = yield* reads
      const first = yield* ask(read, "a")
      yield* settled
      const others = yield* Effect.forEach(["a", "b", "none", "b"], (key) => ask(read, key))
      yield* settled
      expect(batches).toEqual([["a"]])
      yield* open()
      yield* settled
      expect(batches).toEqual([["a"], ["a", "b", "none"]])
      yield* open()
      expect(yield* Fiber.join(first)).toMatchObject({ value: 1 })
      const rows = yield* Effect.forEach(others, (other) => Fiber.join(other))
      expect(rows.map((exit) => "value" in exit && exit.value)).toEqual([2, 2, undefined, 2])
    })
  ))

test("a read that fails fails those who waited for it, and nobody else", () =>
  run(
    Effect.gen(function* () {
      const { open, read } = yield* reads
      const first = yield* ask(read, "a")
      yield* settled
      const second = yield* ask(read, "a")
      yield* open(Effect.fail(unavailable))
      expect(yield* Fiber.join(first)).toMatchObject({ _tag: "Failure" })
      yield* settled
      yield* open()
      expect(yield* Fiber.join(second)).toMatchObject({ value: 2 })
    })
  ))

test("one statement reads 1,000 keys, further ones read the rest for the same callers", () =>
  run(
    Effect.gen(function* () {
      const { batches, open, read } = yield* reads
      const first = yield* ask(read, "first")
      yield* settled
      const keys = Array.from({ length: 1_001 }, (_, n) => `key-${n}`)
      const others = yield* Effect.forEach(keys, (key) => ask(read, key))
      for (const _statement of ["first", "1,000 keys", "the last key"]) {
        yield* settled
        yield* open()
      }
      yield* Fiber.join(first)
      const rows = yield* Effect.forEach(others, (other) => Fiber.join(other))
      expect(rows.map((exit) => "value" in exit && exit.value)).toEqual([...Array(1_000).fill(2), 3])
      expect(batches.map(({ length }) => length)).toEqual([1, 1_000, 1])
    })
  ))

test("a key that nobody waits for is read with those that somebody does", () =>
  run(
    Effect.gen(function* () {
      const { batches, open, read } = yield* reads
      read.inBackground("quiet")
      const loud = yield* ask(read, "loud")
      yield* settled
      yield* open()
      yield* Fiber.join(loud)
      expect(batches).toEqual([["loud", "quiet"]])
    })
  ))
