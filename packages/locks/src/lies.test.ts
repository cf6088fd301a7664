import { eventually } from "@holdfast/testkit"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { lockKeysLeft, queueKey, redisFixture, tokenKey } from "../test/fixture.ts"
import { brief, few, gate } from "../test/members.ts"
import { Locks } from "./layer.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const redis = redisFixture()

const MUTEX = "mutex:brief:a"
const [QUEUE, TOKEN] = [queueKey("brief:a"), tokenKey("brief:a")]
const YEAR_MS = 31_536_000_000

const tokenOf = Effect.map(assertHeld(brief), (lock) => lock.token("brief:a")!)

/** Microseconds of the clock, as tokens are. */
const expectToken = (token: number) => expect(Math.abs(token - Date.now() * 1_000)).toBeLessThan(61_000_000)

describe("lies under the keys of a lock", () => {
  // Guarantees: whatever is written there, the lock is held again after a lease, with a token that the clock gives.
  test.each<[lie: string, tell: () => Promise<unknown>]>([
    ["an owner for ever", () => redis.plain.set(MUTEX, "somebody")],
    ["an owner for a year", () => redis.plain.set(MUTEX, "somebody", "PX", YEAR_MS)],
    ["an owner without a name", () => redis.plain.set(MUTEX, "")],
    ["an owner of another type", () => redis.plain.hset(MUTEX, "some", "body")],
    ["a queue of another type", () => redis.plain.set(QUEUE, "somebody")],
    ["a token of another type", () => redis.plain.del(TOKEN).then(() => redis.plain.lpush(TOKEN, "1"))],
    ...["soon", "", "nan", "inf", "-5", "9007199254740991", "9e18", "0x7fffffffffffffff"].map(
      (token): [string, () => Promise<unknown>] => [
        `the token '${token}'`,
        () => redis.plain.set(TOKEN, token)
      ]
    ),
    [
      "waiters who are none",
      () =>
        redis.plain.rpush(QUEUE, "", "/", "nobody", "nobody/1", "holdfast:locks:/", "holdfast:locks:gone/x/1")
    ],
    [
      "a queue that is full of nobody",
      async () => {
        const nobody = Array.from({ length: 20_000 }, (_, index) => `nobody/${index}`)
        await redis.plain.rpush(QUEUE, ...nobody)
        await redis.plain.set(MUTEX, "somebody", "PX", 500)
      }
    ],
    [
      "a waiter at a channel of somebody else",
      async () => {
        const listener = redis.plain.duplicate()
        await listener.subscribe("holdfast:{a}:changes")
        await redis.plain.rpush(QUEUE, ...Array.from({ length: 1_000 }, () => "holdfast:{a}:changes/1"))
      }
    ]
  ])(
    "%s",
    async (_lie, tell) => {
      const [one, two] = [redis.member(), redis.member()]
      await tell()
      const held = await eventually(() => one.run(withLock(brief, "a")(tokenOf)), { timeoutMs: 4_000 })
      expectToken(held)
      await tell()
      const both = await Promise.all([
        eventually(() => one.run(withLock(brief, "a")(tokenOf)), { timeoutMs: 4_000 }),
        eventually(() => two.run(withLock(brief, "a")(tokenOf)), { timeoutMs: 4_000 })
      ])
      both.forEach(expectToken)
      expect(new Set(both).size).toBe(2)
      expect(await one.isStoreUp()).toBe(true)
      expect(await lockKeysLeft(redis.plain)).toEqual([])
    },
    20_000
  )

  test("a list of locks leaves out what is none", async () => {
    const entered = gate()
    const { run } = redis.member()
    await redis.plain.lpush("mutex:foreign", "1")
    const running = run(withLock(brief, "a")(entered.passed))
    await eventually(async () => expect(await redis.plain.exists(MUTEX)).toBe(1))
    await redis.plain.set(TOKEN, "soon")
    expect(await run(Locks.use((locks) => locks.list()))).toMatchObject([{ key: "brief:a", token: null }])
    entered.open()
    await running
  })

  test("permits that could never expire are taken back", async () => {
    for (const time of ["inf", "9e15"]) {
      await redis.plain.zadd("semaphore:few:a", time, "one", time, "two", time, "three")
      expect(await redis.member().run(withLock(few, "a")(Effect.succeed("held")))).toBe("held")
    }
  })
})

describe("a forged grant", () => {
  const grantTo = async (token: string | number, leaseMs: string | number) => {
    const waiter = (await redis.plain.lindex(QUEUE, 0))!
    const [, channel, number] = /^(.*)\/(\d+)$/.exec(waiter)!
    await redis.plain.publish(channel!, `${number} ${token} ${Date.now()} ${leaseMs} ${MUTEX}`)
  }

  test.each<[string, string | number, string | number]>([
    ["no number", "soon", "soon"],
    ["a token that would keep every later holder out", 9e15, 1_000],
    ["a token below zero", -1, 1_000],
    ["nothing", "", ""]
  ])("with %s is not believed", async (_case, token, leaseMs) => {
    const [one, two] = [redis.member(), redis.member()]
    const [entered, holder] = [gate(), gate()]
    const held = one.run(withLock(brief, "a")(Effect.andThen(Effect.sync(entered.open), holder.passed)))
    await Effect.runPromise(entered.passed)
    const waiting = two.run(withLock(brief, "a")(tokenOf))
    await eventually(async () => expect(await redis.plain.llen(QUEUE)).toBe(1))
    await grantTo(token, leaseMs)
    holder.open()
    await held
    expectToken(await waiting)
  })

  // Guarantees: who was let in by a forged grant is stopped within its own lease, not within the forged one.
  test("lasts no longer than the scope's own lease", async () => {
    const [one, two] = [redis.member(), redis.member()]
    const [entered, holder] = [gate(), gate()]
    const held = one.run(withLock(brief, "a")(Effect.andThen(Effect.sync(entered.open), holder.passed)))
    await Effect.runPromise(entered.passed)
    const waiting = two.run(Effect.flip(withLock(brief, "a")(Effect.never)))
    await eventually(async () => expect(await redis.plain.llen(QUEUE)).toBe(1))
    await grantTo(Date.now() * 1_000, YEAR_MS)
    expect(await waiting).toMatchObject({ _tag: "LockLost" })
    holder.open()
    await held
  })
})
