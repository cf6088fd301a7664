import { FenceStale, LockLost } from "@holdfast/domain/locks"
import { eventually, race } from "@holdfast/testkit"
import { Cause, Effect, Exit, Fiber } from "effect"
import { describe, expect, test } from "vitest"
import { LockOrderViolation } from "./lock-stack.ts"
import type { Transactions, Tx } from "../test/books.ts"
import { ledgerFixture } from "../test/ledger.ts"
import { redisFixture } from "../test/fixture.ts"
import { brief, gate, inner, ledger, outer, type TestLocks, turn, vault } from "../test/members.ts"
import { withLock } from "./with-lock.ts"

const redis = redisFixture()
const books = ledgerFixture()

const owner = (key: string) => redis.plain.get(`mutex:${key}`)

describe("a transaction under a lock", () => {
  test("begins after the lock is acquired and ends before it is released", async () => {
    const { run } = redis.member()
    const steps: Array<string> = []
    const observed = books.observe((step) => void steps.push(step))
    await run(
      withLock(
        ledger,
        "a"
      )(observed.inTransaction(observed.book("a"))).pipe(
        Effect.tap(() => Effect.promise(async () => void steps.push(String(await owner("ledger:a"))))),
        Effect.provide(observed.layer)
      )
    )
    expect(steps).toEqual(["begin", "fence", "commit", "null"])
  })

  test("keeps entries exact across processes", async () => {
    const members = [redis.member(), redis.member(), redis.member()]
    const result = await race(60, (caller) =>
      members[caller % 3]!.run(
        withLock(ledger, "a")(books.inTransaction(books.book("a"))).pipe(Effect.provide(books.layer))
      )
    )
    expect(result.fulfilled).toHaveLength(60)
    expect(await books.read("a")).toMatchObject({ counter: 60, entries: 60 })
  })

  test("rolls back when it fails, and when it is interrupted", async () => {
    const { exit } = redis.member()
    const failing = books.inTransaction(Effect.andThen(books.book("a"), Effect.fail("no")))
    expect(Exit.isFailure(await exit(withLock(ledger, "a")(failing).pipe(Effect.provide(books.layer))))).toBe(
      true
    )
    const stop = new AbortController()
    const booked = gate()
    const hanging = books.inTransaction(
      Effect.andThen(books.book("a"), Effect.andThen(Effect.sync(booked.open), Effect.never))
    )
    const stopped = exit(withLock(ledger, "a")(hanging).pipe(Effect.provide(books.layer)), stop.signal)
    await Effect.runPromise(booked.passed)
    stop.abort()
    expect(Exit.isFailure(await stopped)).toBe(true)
    expect(await books.read("a")).toMatchObject({ counter: 0, entries: 0 })
  })
})

describe("the fence", () => {
  test("refuses the transaction of a holder that a later one has overtaken", async () => {
    const { run } = redis.member()
    const mayGoOn = gate()
    const late = run(
      withLock(
        vault,
        "a"
      )(Effect.andThen(mayGoOn.passed, books.inTransaction(books.book("a")))).pipe(
        Effect.flip,
        Effect.provide(books.layer)
      )
    )
    await eventually(async () => expect(await owner("vault:a")).not.toBeNull())
    await redis.plain.del("mutex:vault:a")
    await run(withLock(vault, "a")(books.inTransaction(books.book("a"))).pipe(Effect.provide(books.layer)))
    mayGoOn.open()
    const failure = await late
    expect(failure).toBeInstanceOf(FenceStale)
    expect(failure).toMatchObject({ scope: "vault", key: "vault:a" })
    expect((failure as FenceStale).latestToken).toBeGreaterThan((failure as FenceStale).token)
    expect(await books.read("a")).toMatchObject({ counter: 1, entries: 1 })
  })

  test("lets the same holder pass again", async () => {
    const { run } = redis.member()
    const twice = Effect.andThen(books.inTransaction(books.book("a")), books.inTransaction(books.book("a")))
    await run(withLock(ledger, "a")(twice).pipe(Effect.provide(books.layer)))
    expect(await books.read("a")).toMatchObject({ counter: 2, entries: 2 })
  })

  test("takes keys of any length and with any characters", async () => {
    const { run } = redis.member()
    for (const name of ["x".repeat(600), "käse", "a b", "a "]) {
      const counted = await run(
        withLock(
          ledger,
          name
        )(books.inTransaction(books.book(name.slice(0, 20)))).pipe(Effect.provide(books.layer))
      )
      expect(counted).toBe(1)
    }
    expect(await books.fences()).toBe(4)
  })

  test("is not advanced in scopes that are not fenced", async () => {
    await redis
      .member()
      .run(withLock(turn, "a")(books.inTransaction(books.book("a"))).pipe(Effect.provide(books.layer)))
    expect(await books.fences()).toBe(0)
  })
})

describe("the local clock of a lease", () => {
  test("keeps a holder that was stalled for longer than its lease from committing", async () => {
    const { run } = redis.member()
    const blockEventLoop = Effect.sync(() => {
      const untilMs = performance.now() + 1_200
      while (performance.now() < untilMs);
    })
    const failure = await run(
      withLock(
        brief,
        "a"
      )(books.inTransaction(Effect.andThen(books.book("a"), blockEventLoop))).pipe(
        Effect.flip,
        Effect.provide(books.layer)
      )
    )
    expect(failure).toBeInstanceOf(LockLost)
    expect(await books.read("a")).toMatchObject({ counter: 0, entries: 0 })
  })
})

describe("what slips past the compiler", () => {
  const dies = async (program: Effect.Effect<unknown, unknown, TestLocks>) => {
    const exit = await redis.member().exit(program)
    const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    expect(defect).toBeInstanceOf(LockOrderViolation)
    return (defect as Error).message
  }
  /** A cast that the lint rules forbid: it removes the requirements, and with them the lock types. */
  const cast = (effect: Effect.Effect<unknown, unknown, TestLocks | Transactions | Tx>) =>
    effect as Effect.Effect<unknown, unknown>

  test("dies at run time: a lower rank, an equal one, a lock in a transaction, a transaction in a transaction", async () => {
    const nothing = Effect.void
    expect(await dies(withLock(inner, "i")(cast(withLock(outer, "o")(nothing))))).toBe(
      "lock 'outer' must not be taken inside lock 'inner'"
    )
    expect(await dies(withLock(turn, "a")(cast(withLock(turn, "b")(nothing))))).toBe(
      "lock 'turn' must not be taken inside lock 'turn'"
    )
    expect(
      await dies(
        books.inTransaction(cast(withLock(turn, "a")(nothing))).pipe(Effect.provide(books.layer)) as never
      )
    ).toBe("lock 'turn' must not be taken inside a transaction")
    expect(
      await dies(
        books.inTransaction(cast(books.inTransaction(nothing))).pipe(Effect.provide(books.layer)) as never
      )
    ).toBe("a transaction must not be opened inside a transaction")
  })

  test("does not hold work that outlived its lock to the order", async () => {
    const started = gate()
    const { run } = redis.member()
    const outlived = await run(
      withLock(
        inner,
        "i"
      )(Effect.forkDetach(Effect.andThen(started.passed, cast(withLock(outer, "o")(Effect.succeed("fine"))))))
    )
    await eventually(async () => expect(await owner("inner:i")).toBeNull())
    started.open()
    expect(await Effect.runPromise(Fiber.await(outlived))).toMatchObject({ _tag: "Success", value: "fine" })
  })
})
