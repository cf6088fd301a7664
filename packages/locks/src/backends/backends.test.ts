import { LockLost, RequestInProgress } from "@holdfast/domain/locks"
import { eventually, race, startServices } from "@holdfast/testkit"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { Semaphore } from "redis-semaphore"
import { describe, expect, test } from "vitest"
import { listenForErrors, makeClient } from "../redis/client.ts"
import { Locks } from "../layer.ts"
import { redlockBackend } from "./redlock.ts"
import { redisFixture } from "../../test/fixture.ts"
import { brief, countedSection, few, gate, memberOf, once, testOrder } from "../../test/members.ts"
import { withLock } from "../with-lock.ts"

const redis = redisFixture()

describe("a scope with three permits", () => {
  test("admits three holders at once, and every caller in the end", async () => {
    const processes = [redis.member(), redis.member()]
    const { most, section } = countedSection()
    const result = await race(30, (caller) => processes[caller % 2]!.run(withLock(few, "a")(section)))
    expect(result.fulfilled).toHaveLength(30)
    expect(most()).toBe(3)
    expect(await redis.plain.keys("*")).toEqual([])
  })

  test("shares its permits with plain redis-semaphore clients, and renews them", async () => {
    const { run } = redis.member()
    const plain = new Semaphore(redis.plain, "few:a", 3, { lockTimeout: 1_000 })
    await plain.acquire()
    const holder = gate()
    const two = [1, 2].map(() => run(withLock(few, "a")(holder.passed)))
    await eventually(async () => expect(await redis.plain.zcard("semaphore:few:a")).toBe(3))
    const fourth = run(withLock(few, "a")(Effect.sync(() => performance.now())))
    await new Promise((resolve) => setTimeout(resolve, 1_500)) // longer than a lease
    expect(await redis.plain.zcard("semaphore:few:a")).toBe(3)
    const openedAtMs = performance.now()
    await plain.release()
    expect(await fourth).toBeGreaterThan(openedAtMs)
    holder.open()
    await Promise.all(two)
  })

  test("stops a holder whose permit is gone", async () => {
    const { run } = redis.member()
    const lost = run(Effect.flip(withLock(few, "a")(Effect.never)))
    await eventually(async () => expect(await redis.plain.zcard("semaphore:few:a")).toBe(1))
    await redis.plain.del("semaphore:few:a")
    expect(await lost).toBeInstanceOf(LockLost)
  })
})

describe("a quorum of three servers", () => {
  const startQuorum = async () => {
    const services = await Promise.all([1, 2, 3].map(() => startServices({ sql: false })))
    const clients = services.map(({ redis: server }) =>
      listenForErrors(makeClient({ url: server.url() }, { commandTimeoutMs: 1_000 }))
    )
    const plain = services.map(({ redis: server }) => listenForErrors(new Redis(server.url())))
    const member = () =>
      memberOf(Locks.layerOf(testOrder, { mutexes: redlockBackend(clients, { answerWithinMs: 500 }) }))
    await Promise.all(clients.map((client) => eventually(() => client.status === "ready")))
    return {
      servers: services.map(({ redis: server }) => server),
      clients,
      plain,
      member,
      [Symbol.asyncDispose]: async () => {
        for (const client of [...clients, ...plain]) client.disconnect()
        await Promise.all(services.map((each) => each.stop()))
      }
    }
  }

  test("excludes with a majority, survives the loss of a minority, and stops without a majority", async () => {
    await using quorum = await startQuorum()
    const processes = [quorum.member(), quorum.member()]
    const { most, section } = countedSection()
    const allCallers = () => race(8, (caller) => processes[caller % 2]!.run(withLock(brief, "a")(section)))
    expect((await allCallers()).fulfilled).toHaveLength(8)
    await quorum.servers[0]!.kill()
    expect((await allCallers()).fulfilled).toHaveLength(8)
    expect(most()).toBe(1)

    const holder = gate()
    const entered = gate()
    const held = processes[0]!.run(
      withLock(once, "a")(Effect.andThen(Effect.sync(entered.open), holder.passed))
    )
    await Effect.runPromise(entered.passed)
    expect(await processes[1]!.run(Effect.flip(withLock(once, "a")(Effect.void)))).toBeInstanceOf(
      RequestInProgress
    )
    holder.open()
    await held

    const holding = gate()
    const lost = processes[0]!.run(
      Effect.flip(withLock(brief, "b")(Effect.andThen(Effect.sync(holding.open), Effect.never)))
    )
    await Effect.runPromise(holding.passed)
    await quorum.servers[1]!.kill()
    expect(await lost).toBeInstanceOf(LockLost)
    await Promise.all(processes.map((each) => each.close()))
  })

  test("does not count a majority that answered after the lease as acquired", async () => {
    await using quorum = await startQuorum()
    const acquired = Effect.gen(function* () {
      const { acquire } = yield* redlockBackend(quorum.clients, { answerWithinMs: 10_000 })
      const request = { scope: "late", key: "late", leaseMs: 300, permits: 1, waitUntilMs: undefined }
      return yield* Effect.flip(acquire(request, (effect) => effect))
    })
    await Promise.all(quorum.servers.map((server) => server.freeze()))
    const outcome = Effect.runPromise(Effect.scoped(acquired))
    await new Promise((resolve) => setTimeout(resolve, 400))
    await Promise.all(quorum.servers.map((server) => server.thaw()))
    expect((await outcome)._tag).toBe("LockBusy")
    await eventually(async () => {
      for (const each of quorum.plain) expect(await each.get("mutex:late")).toBeNull()
    })
  })
})
