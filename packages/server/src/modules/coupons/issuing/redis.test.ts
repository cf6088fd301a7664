import { setImmediate, setTimeout } from "node:timers/promises"
import { contract, CouponId, UserId } from "@holdfast/domain"
import { eventually, expectExactly, race, type RedisService, startServices } from "@holdfast/testkit"
import { Locks } from "@holdfast/locks"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { makeRawClient } from "../../../../test/raw-client.ts"
import { Shop, type TestUser } from "../../../../test/shop.ts"
import { runJob } from "../../../../test/jobs.ts"
import { CouponAdmission } from "./admission.ts"
import { auditGates } from "./audit.ts"
import { RESERVATION_MS } from "./gate.ts"
import { gateReconciler } from "./gate-reconciler.ts"
import { longestPauseMs } from "../../../platform/jobs/runner.ts"
import { gateOf, issue, issuedOf, manyUsers, newCoupon, patiently } from "../../../../test/sale.ts"

/** What may be stopped, flushed and written to belongs to this file alone. */
let service: RedisService
let redis: Redis
beforeAll(async () => {
  const started = await startServices({ sql: false, source: ["docker", "native", "packages"] })
  service = started.redis
  redis = new Redis(service.url(), { maxRetriesPerRequest: null })
  redis.on("error", () => {})
  return () => started.stop()
})
afterAll(() => redis.disconnect())

const keysOf = (couponId: string) => ({
  gate: `coupon:{${couponId}}:gate`,
  holders: `coupon:{${couponId}}:holders`,
  reserved: `coupon:{${couponId}}:reserved`
})

/** Everybody asks once, patiently; `midway` is told how many have been answered. */
const sale = (
  shop: Shop,
  couponId: string,
  users: ReadonlyArray<TestUser>,
  midway: (answered: number) => void
) => {
  let answered = 0
  return race(
    users.length,
    (caller) =>
      patiently(() => issue(shop, couponId, users[caller]!, "the-request")).finally(() =>
        midway((answered += 1))
      ),
    { timeoutMs: 120_000 }
  )
}

describe("a sale whose Redis is lost", () => {
  let shop: Shop
  beforeEach(async () => {
    shop = await Shop.open({ servers: 2, redisUrl: service.url(), settings: { workers: true } })
  })
  afterEach(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  // Guarantees: a gate that is empty or half built neither sells too much nor refuses while there is something left.
  test("FLUSHALL three times in the middle, while the gate is rebuilt all the time: exactly N", async () => {
    const users = await manyUsers(shop, 240)
    const couponId = CouponId.make((await newCoupon(shop, { quantity: 80 })).id)
    const over = new AbortController()
    const rebuilding = (async () => {
      const rebuild = CouponAdmission.use((admission) => admission.rebuild(couponId))
      while (!over.signal.aborted) {
        await shop.servers[0].runtime.runPromise(rebuild).catch(() => {})
        // A rebuild that fails at once must not keep the event loop from anything else.
        await setImmediate()
      }
    })()
    const result = await sale(shop, couponId, users, (answered) => {
      if ([20, 60, 100].includes(answered)) void redis.flushall()
    })
    over.abort()
    await rebuilding
    expectExactly(result, 80)
    expectExactly(result, 160, "CouponSoldOut")
    expect(await issuedOf(shop, couponId)).toBe(80)
  }, 150_000)

  test("Redis is killed in the middle and started later: exactly N, never fewer, and the gate is right again", async () => {
    const users = await manyUsers(shop, 150)
    const { id: couponId } = await newCoupon(shop, { quantity: 50 })
    let stopping: Promise<void> | undefined
    let starting: Promise<void> | undefined
    const result = await sale(shop, couponId, users, (answered) => {
      if (answered === 15) stopping = service.kill()
      if (answered === 60) starting = stopping?.then(() => service.restart())
    })
    await starting
    expectExactly(result, 50)
    expectExactly(result, 100, "CouponSoldOut")
    const [late] = (await manyUsers(shop, 1)) as [TestUser]
    await eventually(async () => {
      await expect(issue(shop, couponId, late)).rejects.toMatchObject({ _tag: "CouponSoldOut" })
      expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
    })
  }, 150_000)

  test("the coupon counter is not reset by a restart of Redis and of the servers", async () => {
    const users = await manyUsers(shop, 12)
    const { id: couponId } = await newCoupon(shop, { quantity: 10 })
    expectExactly(await sale(shop, couponId, users.slice(0, 6), () => {}), 6)
    await service.kill()
    await service.restart()
    const restarted = makeRawClient((await shop.openBeside()).url)
    const [first, ...others] = users.slice(6)
    const options = { token: first!.token, idempotencyKey: "the-request" }
    await eventually(async () =>
      expect(await restarted(contract.coupons.issue, { couponId }, options)).toMatchObject({ ok: true })
    )
    const result = await sale(shop, couponId, others, () => {})
    expectExactly(result, 3)
    expectExactly(result, 2, "CouponSoldOut")
    expect(await issuedOf(shop, couponId)).toBe(10)
  })
})

describe("a sale without Redis", () => {
  test("Redis was never there: exactly N", async () => {
    await using nowhere = await Shop.open({ servers: 2, redisUrl: "redis://127.0.0.1:1/0" })
    const users = await manyUsers(nowhere, 90)
    const { id: couponId } = await newCoupon(nowhere, { quantity: 30 })
    const result = await sale(nowhere, couponId, users, () => {})
    expectExactly(result, 30)
    expectExactly(result, 60, "CouponSoldOut")
    const [winner] = result.winners
    const again = await nowhere.call(contract.coupons.issue, { couponId }, users[winner!.caller])
    expect(again).toMatchObject({ tag: "CouponAlreadyIssued", error: { coupon: winner!.value } })
  }, 60_000)
})

describe("a gate that is wrong", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2, redisUrl: service.url() })
  })
  afterAll(() => shop.stop())

  /** A campaign of 6 coupons with a gate, of which 1 is issued. */
  const started = async () => {
    const users = await manyUsers(shop, 8)
    const { id: couponId } = await newCoupon(shop, { quantity: 6 })
    await issue(shop, couponId, users[0]!)
    return { couponId, users, keys: keysOf(couponId) }
  }
  const nobody = (index: number) => `01890000-0000-7000-8000-00000000000${index}`

  // Guarantees: the gate may let too many through, but "sold out" is always what the database says.
  test.each<[string, (keys: ReturnType<typeof keysOf>, users: ReadonlyArray<TestUser>) => Promise<unknown>]>([
    ["a quantity that is too small", (keys) => redis.hset(keys.gate, "quantity", 0)],
    ["a quantity that is too large", (keys) => redis.hset(keys.gate, "quantity", 1_000)],
    ["holders who have nothing", (keys) => redis.sadd(keys.holders, ...[1, 2, 3, 4, 5, 6].map(nobody))],
    ["a buyer who is a holder by mistake", (keys, users) => redis.sadd(keys.holders, users[1]!.id)],
    ["holders that Redis dropped for want of memory", (keys) => redis.del(keys.holders)],
    ["a gate of which only the holders are left", (keys) => redis.del(keys.gate)],
    ["a quantity below zero", (keys) => redis.hset(keys.gate, "quantity", -5)],
    ["a quantity that is no number", (keys) => redis.hset(keys.gate, "quantity", "many")],
    ["a quantity that is not a number", (keys) => redis.hset(keys.gate, "quantity", "nan")],
    ["a quantity without end", (keys) => redis.hset(keys.gate, "quantity", "1e999")],
    ["a time that is over", (keys) => redis.hset(keys.gate, "endsAt", 1)],
    ["a time that never comes", (keys) => redis.hset(keys.gate, "startsAt", 9e15)],
    ["times that are no numbers", (keys) => redis.hset(keys.gate, "startsAt", "soon", "endsAt", "")],
    ["no times", (keys) => redis.hdel(keys.gate, "startsAt", "endsAt")],
    ["something else for its holders", (keys) => redis.set(keys.holders, "nonsense")],
    ["something else for its reservations", (keys) => redis.set(keys.reserved, "nonsense")],
    ["something else for its facts", (keys) => redis.set(keys.gate, "nonsense")],
    [
      "nothing but something else for its holders",
      (keys) => redis.del(keys.gate).then(() => redis.set(keys.holders, "nonsense"))
    ],
    [
      "holders who are no users",
      (keys) => redis.sadd(keys.holders, "", "nobody", "0", "x".repeat(1_000), "null")
    ],
    ["reservations of no users, over", (keys) => redis.zadd(keys.reserved, 1, "nobody", "-inf", "")],
    ["reservations of no users, for ever", (keys) => redis.zadd(keys.reserved, "inf", "nobody", 9e15, "")],
    [
      "reservations that nobody ever confirms",
      (keys) =>
        redis.zadd(keys.reserved, ...[1, 2, 3, 4, 5, 6].flatMap((index) => [9e14 + index, nobody(index)]))
    ]
  ])("%s: the other 5 coupons are issued to the first who come", async (_case, spoil) => {
    const { couponId, keys, users } = await started()
    const facts = await redis.hgetall(keys.gate)
    await spoil(keys, users)
    expect(await shop.call(contract.admin.couponCounts, {}, shop.admin)).toMatchObject({ ok: true })
    const result = await race(7, (caller) => issue(shop, couponId, users[caller + 1]!))
    expectExactly(result, 5)
    expectExactly(result, 2, "CouponSoldOut")
    // The keeper finds what no caller came across.
    await runJob(shop.servers[0], gateReconciler)
    await runJob(shop.servers[0], gateReconciler)
    expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
    expect(await redis.hgetall(keys.gate)).toEqual(facts)
    expect(
      await shop.servers[0].runtime.runPromise(Locks.use(({ isStoreUp }) => Effect.sync(isStoreUp)))
    ).toBe(true)
    await shop.expectRightBooks()
  })

  // Guarantees: a lie that no caller comes across is found by the reconciler alone, in one run.
  test.each<[string, (keys: ReturnType<typeof keysOf>) => Promise<unknown>]>([
    ["sold out by its quantity", (keys) => redis.hset(keys.gate, "quantity", 1)],
    ["sold out by its holders", (keys) => redis.sadd(keys.holders, ...[1, 2, 3, 4, 5, 6].map(nobody))],
    [
      "sold out by holders who are no users",
      (keys) => redis.sadd(keys.holders, "a", "b", "c", "d", "e", "f")
    ],
    [
      "sold out by reservations",
      (keys) => redis.zadd(keys.reserved, 1, "a", 2, "b", "inf", "c", 3, nobody(1), 4, nobody(2))
    ],
    ["closed by its times", (keys) => redis.hset(keys.gate, "endsAt", 1)],
    ["open to everybody", (keys) => redis.hset(keys.gate, "quantity", "nan")],
    ["of another type", (keys) => redis.set(keys.holders, "nonsense")]
  ])("the reconciler heals a gate that is %s", async (_case, spoil) => {
    const { couponId, keys, users } = await started()
    const facts = await redis.hgetall(keys.gate)
    await spoil(keys)
    await runJob(shop.servers[0], gateReconciler)
    // A gate without facts is built for the next caller.
    await issue(shop, couponId, users[1]!)
    expect(await gateOf(shop, couponId)).toEqual({ free: 4, reserved: 0 })
    expect(await redis.hgetall(keys.gate)).toEqual(facts)
    expect(new Set(await redis.smembers(keys.holders))).toEqual(new Set([users[0]!.id, users[1]!.id]))
  })

  // Guarantees: an outage of Redis costs no gate its turn.
  test("the reconciler looks at every gate once Redis is back, although it has tried before", async () => {
    const gates = [(await started()).keys.gate, (await started()).keys.gate, (await started()).keys.gate]
    const beside = await shop.openBeside()
    await service.freeze()
    await expect(runJob(beside, gateReconciler)).rejects.toThrow()
    await service.thaw()
    for (const gate of gates) await redis.hset(gate, "quantity", 1)
    await eventually(() => runJob(beside, gateReconciler))
    for (const gate of gates) expect(await redis.hget(gate, "quantity")).not.toBe("1")
  })

  test("a winner who was exchanged for somebody else is found within 3 seconds", async () => {
    const { couponId, keys, users } = await started()
    await redis.srem(keys.holders, users[0]!.id)
    await redis.sadd(keys.holders, nobody(1))
    await eventually(async () => {
      await runJob(shop.servers[0], gateReconciler)
      expect(await redis.smembers(keys.holders)).toEqual([users[0]!.id])
    })
    expect(await shop.call(contract.coupons.issue, { couponId }, users[0])).toMatchObject({
      tag: "CouponAlreadyIssued"
    })
  })

  test("a caller who finds the gate full and the database not repairs the gate, without a keeper", async () => {
    const { couponId, keys, users } = await started()
    await redis.sadd(keys.holders, ...[1, 2, 3, 4, 5, 6].map(nobody))
    await issue(shop, couponId, users[1]!)
    expect(new Set(await redis.smembers(keys.holders))).toEqual(new Set([users[0]!.id, users[1]!.id]))
    expect(await gateOf(shop, couponId)).toEqual({ free: 4, reserved: 0 })
  })

  test("the reaper asks the database first: an issued coupon's slot stays used, a lost one's comes back", async () => {
    const { couponId, keys, users } = await started()
    // As after two crashes: user 0 died between the commit and the confirmation, user 1 before the transaction.
    await redis.srem(keys.holders, users[0]!.id)
    await redis.zadd(keys.reserved, 1, users[0]!.id, 2, users[1]!.id)
    expect(await runJob(shop.servers[0], gateReconciler)).toBe(2)
    expect(await redis.smembers(keys.holders)).toEqual([users[0]!.id])
    expect(await gateOf(shop, couponId)).toEqual({ free: 5, reserved: 0 })
  })

  test("a reservation whose deadline is not over is left alone", async () => {
    const { couponId, keys, users } = await started()
    await redis.zadd(keys.reserved, Date.now() + 1_500, users[1]!.id)
    await runJob(shop.servers[0], gateReconciler)
    expect(await gateOf(shop, couponId)).toEqual({ free: 4, reserved: 1 })
    await redis.zrem(keys.reserved, users[1]!.id)
  })

  test("a confirmation that was lost is found by the keeper", async () => {
    const { couponId, keys, users } = await started()
    await redis.srem(keys.holders, users[0]!.id)
    await runJob(shop.servers[0], gateReconciler)
    expect(await gateOf(shop, couponId)).toEqual({ free: 5, reserved: 0 })
    expect(await redis.smembers(keys.holders)).toEqual([users[0]!.id])
  })

  test("the last slot is reserved by a process that died: the next caller waits for it instead of being refused", async () => {
    const [dead, next] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const couponId = CouponId.make((await newCoupon(shop, { quantity: 1 })).id)
    await shop.servers[0].runtime.runPromise(CouponAdmission.use(({ rebuild }) => rebuild(couponId)))
    await shop.servers[0].runtime.runPromise(
      CouponAdmission.use(({ admit }) => admit(couponId, UserId.make(dead.id)))
    )
    expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 1 })
    expect((await issue(shop, couponId, next)).userId).toBe(next.id)
    await eventually(async () => {
      await runJob(shop.servers[0], gateReconciler)
      expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
    })
  })

  test("a decrement does not stay when the insert fails, and the answer does not leak SQL", async () => {
    const { couponId, users } = await started()
    await shop.sql.query(
      "CREATE TRIGGER broken BEFORE INSERT ON user_coupons FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a detail of the database'"
    )
    const answer = await shop.call(contract.coupons.issue, { couponId }, users[1])
    await shop.sql.query("DROP TRIGGER broken")
    expect(answer).toMatchObject({ ok: false, status: 500 })
    expect(answer.ok ? "" : answer.body).not.toMatch(/detail|45000|user_coupons|insert|mysql|stack/i)
    expect(await gateOf(shop, couponId)).toEqual({ free: 5, reserved: 0 })
    expect(await issuedOf(shop, couponId)).toBe(1)
    expect((await issue(shop, couponId, users[1]!)).userId).toBe(users[1]!.id)
  })

  // Guarantees: what the reconciler still has time to mend is no finding.
  test("verify waits for a reservation that has just ended and is settled in the reconciler's latest run", async () => {
    const { couponId } = await started()
    const nobodyId = UserId.make(nobody(2))
    await shop.servers[0].runtime.runPromise(
      CouponAdmission.use(({ admit }) => admit(CouponId.make(couponId), nobodyId))
    )
    await setTimeout(RESERVATION_MS + 100)
    const audited = shop.servers[0].runtime.runPromise(auditGates)
    await setTimeout(longestPauseMs(gateReconciler))
    await runJob(shop.servers[0], gateReconciler)
    expect((await audited)?.problems).toEqual([])
    expect(await gateOf(shop, couponId)).toEqual({ free: 5, reserved: 0 })
  })

  test("verify sees a gate that differs from the database", async () => {
    const { keys } = await started()
    await redis.sadd(keys.holders, nobody(1))
    const report = await shop.verify()
    expect(report.checks.filter(({ ok }) => !ok)).toMatchObject([
      { name: "coupon gates", problems: [{ user: nobody(1), problem: "a holder in the gate only" }] }
    ])
    await redis.srem(keys.holders, nobody(1))
  })
})
