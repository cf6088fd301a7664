import { LockLost } from "@holdfast/domain/locks"
import { eventually } from "@holdfast/testkit"
import { faultProxy, type FaultProxy } from "@holdfast/testkit/faults"
import { crashAt } from "@holdfast/testkit/race"
import { Effect, Exit } from "effect"
import { afterEach, describe, expect, test } from "vitest"
import { Locks } from "./layer.ts"
import { ledgerFixture } from "../test/ledger.ts"
import { lockKeysLeft, queueKey, redisFixture } from "../test/fixture.ts"
import { brief, gate, ledger, once, turn } from "../test/members.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const redis = redisFixture()
const books = ledgerFixture()
const proxies: Array<FaultProxy> = []

afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
})

const proxied = async () => {
  const proxy = await faultProxy({
    upstream: { host: redis.service.host, port: redis.service.port },
    protocol: "redis"
  })
  proxies.push(proxy)
  return { proxy, url: `redis://${proxy.host}:${proxy.port}` }
}

const owner = (key: string) => redis.plain.get(`mutex:${key}`)
const isHeld = (key: string) => eventually(async () => expect(await owner(key)).not.toBeNull())
/** Within less than the lease of ten seconds. */
const isFree = (key: string) =>
  eventually(async () => expect(await owner(key)).toBeNull(), { timeoutMs: 6_000 })

describe("a Redis that is frozen", () => {
  test("lets no body run past its lease or commit", async () => {
    const LEASE_MS = 1_000
    const FROZEN_MS = 4_000
    const { run } = redis.member()
    let stoppedAtMs = 0
    const body = books
      .inTransaction(Effect.andThen(books.book("a"), Effect.never))
      .pipe(Effect.onInterrupt(() => Effect.sync(() => void (stoppedAtMs = performance.now()))))
    const outcome = run(withLock(ledger, "a")(body).pipe(Effect.flip, Effect.provide(books.layer)))
    await isHeld("ledger:a")
    const frozenAtMs = performance.now()
    await redis.service.freeze()
    try {
      expect(await outcome).toBeInstanceOf(LockLost)
      // The last renewal was before the freeze, so the lease ends within its length after it.
      expect(stoppedAtMs - frozenAtMs).toBeLessThan(LEASE_MS)
      expect(stoppedAtMs).toBeGreaterThan(frozenAtMs)
      await new Promise((resolve) => setTimeout(resolve, frozenAtMs + FROZEN_MS - performance.now()))
      expect(await books.read("a")).toMatchObject({ counter: 0, entries: 0 })
    } finally {
      await redis.service.thaw()
    }
    await isFree("ledger:a")
  })

  test("leaves no key and no queue entry of a caller that gave up", async () => {
    const { exit } = redis.member({ answerWithinMs: 200 })
    await exit(withLock(once, "warm")(Effect.void))
    await redis.service.freeze()
    const outcomes = Promise.all(
      Array.from({ length: 20 }, (_, caller) =>
        caller % 2 === 0 ? exit(withLock(turn, "a")(Effect.void)) : exit(withLock(once, "a")(Effect.void))
      )
    )
    try {
      // Without named locks to fall back to, every caller gets ServiceUnavailable.
      for (const outcome of await outcomes) expect(String(outcome)).toContain("ServiceUnavailable")
    } finally {
      await redis.service.thaw()
    }
    await eventually(async () => expect(await lockKeysLeft(redis.plain)).toEqual([]))
  })
})

describe("a connection that is cut", () => {
  test.each(["before", "after"] as const)("%s an acquisition leaves nothing behind", async (when) => {
    const { proxy, url } = await proxied()
    const { exit } = redis.member({ answerWithinMs: 500 }, url)
    await exit(withLock(once, "warm")(Effect.void))
    const cut = proxy.cut({ when, match: /^EVAL.*mutex:once:a/i })
    expect(Exit.isFailure(await exit(withLock(once, "a")(Effect.void)))).toBe(true)
    await cut.fired
    await isFree("once:a")
    await eventually(async () => expect(await lockKeysLeft(redis.plain)).toEqual([]))
    await eventually(async () =>
      expect(Exit.isSuccess(await exit(withLock(once, "a")(Effect.void)))).toBe(true)
    )
  })

  test.each(["before", "after"] as const)(
    "%s a release does not keep the next waiter waiting",
    async (when) => {
      const { proxy, url } = await proxied()
      const ours = redis.member({ answerWithinMs: 500 }, url)
      const next = redis.member()
      await ours.exit(withLock(turn, "warm")(Effect.void))
      const mayLeave = gate()
      const held = ours.exit(withLock(turn, "a")(mayLeave.passed))
      await isHeld("turn:a")
      const waiting = next.run(withLock(turn, "a")(Effect.sync(() => performance.now())))
      await eventually(async () => expect(await redis.plain.llen(queueKey("turn:a"))).toBe(1))
      const cut = proxy.cut({ when, match: /^EVAL.*mutex:turn:a/i })
      const leftAtMs = performance.now()
      mayLeave.open()
      expect(Exit.isSuccess(await held)).toBe(true)
      await cut.fired
      expect((await waiting) - leftAtMs).toBeLessThan(SOONER_THAN_A_LEASE_MS)
    }
  )

  test("does not cost a holder its lock when it is back in time", async () => {
    const { proxy, url } = await proxied()
    const { run } = redis.member({}, url)
    const entered = gate()
    const work = Effect.sync(entered.open).pipe(Effect.andThen(Effect.sleep(1_800)), Effect.as("done"))
    const working = run(withLock(brief, "a")(work))
    await Effect.runPromise(entered.passed)
    proxy.cutAll()
    expect(await working).toBe("done")
  })
})

describe("a subscription that is lost", () => {
  /** A waiting process whose connections go through the proxy, behind a holder whose connections do not. */
  const queuedBehindHolder = async () => {
    const { proxy, url } = await proxied()
    // No waiter looks for itself before the test is over.
    const ours = redis.member({ fallbackMs: 60_000 }, url)
    const mayLeave = gate()
    const held = redis.member().run(withLock(turn, "a")(mayLeave.passed))
    await isHeld("turn:a")
    const entered = ours.run(withLock(turn, "a")(Effect.sync(() => performance.now())))
    const queue = queueKey("turn:a")
    await eventually(async () => expect(await redis.plain.llen(queue)).toBe(1))
    // Answers arrive in order, so after this one the process knows that it is queued.
    await ours.run(Effect.flatMap(Locks, (locks) => locks.list()))
    const channel = String(await redis.plain.lindex(queue, 0)).replace(/\/[^/]*$/, "")
    const receivers = async () => Number((await redis.plain.pubsub("NUMSUB", channel))[1])
    return { proxy, mayLeave, held, entered, receivers }
  }

  test("makes its waiters look as soon as it is back: they were skipped meanwhile", async () => {
    const { entered, held, mayLeave, proxy, receivers } = await queuedBehindHolder()
    await proxy.refuse()
    await redis.plain.client("KILL", "TYPE", "PUBSUB")
    await eventually(async () => expect(await receivers()).toBe(0))
    mayLeave.open()
    await held
    expect(await owner("turn:a")).toBeNull()
    const backAtMs = performance.now()
    await proxy.accept()
    expect((await entered) - backAtMs).toBeLessThan(SOONER_THAN_A_LEASE_MS)
  })

  test("makes its waiters look as soon as it is back: a grant was lost with it", async () => {
    const { entered, held, mayLeave, proxy, receivers } = await queuedBehindHolder()
    expect(await receivers()).toBe(1)
    proxy.freeze("reply")
    mayLeave.open()
    await held
    expect(await owner("turn:a")).not.toBeNull()
    const backAtMs = performance.now()
    proxy.cutAll("reset")
    proxy.thaw()
    expect((await entered) - backAtMs).toBeLessThan(SOONER_THAN_A_LEASE_MS)
  })
})

describe("a Redis that dies", () => {
  test("ends a lock at the end of its lease, and tokens keep rising after its restart without data", async () => {
    const { exit, run } = redis.member()
    const token = Effect.map(assertHeld(turn), (lock) => lock.token("turn:a") ?? 0)
    const before = await run(withLock(turn, "a")(token))
    const entered = gate()
    const held = exit(withLock(brief, "b")(Effect.andThen(Effect.sync(entered.open), Effect.never)))
    await Effect.runPromise(entered.passed)
    await redis.service.kill()
    expect(String(await held)).toContain("LockLost")
    await redis.service.restart()
    const after = await eventually(() => run(withLock(turn, "a")(token)), { timeoutMs: 10_000 })
    expect(after).toBeGreaterThan(before)
  })
})

describe("a holder that dies", () => {
  test("is succeeded by the next caller when its lease ends", async () => {
    const { run } = redis.member()
    await using crash = crashAt("locked", {
      module: new URL("../test/holder.ts", import.meta.url),
      env: { REDIS_URL: redis.service.url() },
      timeoutMs: 30_000
    })
    await crash.died
    expect(await owner("brief:a")).not.toBeNull()
    const diedAtMs = performance.now()
    await run(withLock(brief, "a")(Effect.void))
    expect(performance.now() - diedAtMs).toBeLessThan(1_000 + NOISE_MS)
  })
})

/** Half of the lease, after whose end every waiter looks anyway. */
const SOONER_THAN_A_LEASE_MS = 5_000

/** The delay that a loaded machine adds. */
const NOISE_MS = 150
