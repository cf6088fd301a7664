import { LockTimeout, RequestInProgress, ServiceUnavailable } from "@holdfast/domain/locks"
import { eventually, race } from "@holdfast/testkit"
import { Effect, Redacted } from "effect"
import { describe, expect, test } from "vitest"
import { namedLocks } from "./backends/mysql.ts"
import { redisFixture } from "../test/fixture.ts"
import { ledgerFixture } from "../test/ledger.ts"
import { countedSection, free, gate, hasty, ledger, once, strict, turn } from "../test/members.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const redis = redisFixture()
const books = ledgerFixture()

/** A process with named locks to fall back to, and no Redis at all. */
const fallback = () =>
  redis.member({ namedLocks: namedLocks({ url: Redacted.make(books.url()) }) }, "redis://127.0.0.1:1")

const withRedis = () => redis.member({ namedLocks: namedLocks({ url: Redacted.make(books.url()) }) })

describe("while Redis is away", () => {
  test("named locks of the database exclude each other across processes", async () => {
    const members = [fallback(), fallback()]
    const { most, section } = countedSection()
    const result = await race(20, (caller) => members[caller % 2]!.run(withLock(turn, "a")(section)))
    expect(result.fulfilled).toHaveLength(20)
    expect(most()).toBe(1)
  })

  test("the fence keeps entries exact, with tokens minted by the database", async () => {
    const members = [fallback(), fallback()]
    const result = await race(20, (caller) =>
      members[caller % 2]!.run(
        withLock(ledger, "a")(books.inTransaction(books.book("a"))).pipe(Effect.provide(books.layer))
      )
    )
    expect(result.fulfilled).toHaveLength(20)
    expect(await books.read("a")).toEqual({ counter: 20, entries: 20 })
    expect(await books.overtaken()).toBe(0)
  })

  test("an optimistic caller is still refused at once, and a pessimistic one when its time is up", async () => {
    const { run } = fallback()
    const holder = gate()
    const entered = gate()
    const enter = Effect.andThen(Effect.sync(entered.open), holder.passed)
    const held = run(withLock(once, "a")(enter))
    await Effect.runPromise(entered.passed)
    expect(await run(Effect.flip(withLock(once, "a")(Effect.void)))).toBeInstanceOf(RequestInProgress)
    const alsoHeld = run(withLock(hasty, "a")(holder.passed))
    await eventually(async () =>
      expect(await run(Effect.flip(withLock(hasty, "a")(Effect.void)))).toBeInstanceOf(LockTimeout)
    )
    holder.open()
    await Promise.all([held, alsoHeld])
    expect(await run(withLock(once, "a")(Effect.succeed("free again")))).toBe("free again")
  })

  test("a scope with the fallback `proceed` runs without a lock, and one with `fail` fails", async () => {
    const { run } = fallback()
    const token = Effect.map(assertHeld(free), (lock) => lock.token("free:a"))
    expect(await run(withLock(free, "a")(token))).toBeUndefined()
    expect(await run(Effect.flip(withLock(strict, "a")(Effect.void)))).toBeInstanceOf(ServiceUnavailable)
  })

  test("interrupted waiters return their connections and locks", async () => {
    const { exit, run } = fallback()
    const holder = gate()
    const entered = gate()
    const held = run(withLock(turn, "a")(Effect.andThen(Effect.sync(entered.open), holder.passed)))
    await Effect.runPromise(entered.passed)
    const stop = new AbortController()
    const waiting = Array.from({ length: 30 }, () => exit(withLock(turn, "a")(Effect.void), stop.signal))
    stop.abort()
    await Promise.all(waiting)
    holder.open()
    await held
    expect(await run(withLock(turn, "a")(Effect.succeed("entered")))).toBe("entered")
  })
})

describe("when Redis comes and goes", () => {
  test("results stay exact, and the locks return to Redis by themselves", async () => {
    const members = [withRedis(), withRedis()]
    const book = (caller: number) =>
      members[caller % 2]!.run(
        withLock(
          ledger,
          "a"
        )(books.inTransaction(books.book("a"))).pipe(
          Effect.provide(books.layer),
          Effect.retry({ times: 20, while: (error) => error._tag !== "SqlFailure" })
        )
      )
    const before = await race(10, book)
    await redis.service.kill()
    const during = await race(10, book)
    expect(await members[0]!.isStoreUp()).toBe(false)
    await redis.service.restart()
    await eventually(async () => expect(await members[0]!.isStoreUp()).toBe(true), { timeoutMs: 10_000 })
    await eventually(async () => expect(await members[1]!.isStoreUp()).toBe(true), { timeoutMs: 10_000 })
    const after = await race(10, book)
    expect([before, during, after].map(({ fulfilled }) => fulfilled.length)).toEqual([10, 10, 10])
    expect(await books.read("a")).toEqual({ counter: 30, entries: 30 })
    expect(await books.overtaken()).toBe(0)
  })
})
