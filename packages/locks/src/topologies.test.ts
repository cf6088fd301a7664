import { eventually, race } from "@holdfast/testkit"
import { startRedisCluster, startRedisSentinelGroup } from "@holdfast/testkit/topologies"
import { Effect, ManagedRuntime } from "effect"
import type { Cluster } from "ioredis"
import { afterEach, describe, expect, test } from "vitest"
import { Locks } from "./layer.ts"
import { countedSection, member, type Member, once, turn } from "../test/members.ts"
import { RedisStore } from "./redis/client.ts"
import { makeSubscription } from "./redis/pubsub.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const members: Array<Member> = []
const opened = (...args: Parameters<typeof member>): Member => {
  const made = member(...args)
  members.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(members.splice(0).map((each) => each.close()))
})

describe("a Redis Cluster", () => {
  test("holds locks of any name: exclusive, queued, listed, and nothing left behind", async () => {
    await using cluster = await startRedisCluster({ replicas: 0 })
    const connection = { url: cluster.url }
    const processes = [0, 1].map(() => opened(connection, { connectTimeoutMs: 5_000, fallbackMs: 300 }))
    // Names in slots of different nodes, and names that cannot be their own hash tag.
    for (const name of ["a", "b", "c", "x{y}z", "x}y", "x{}y", "x{}y}"]) {
      const { most, section } = countedSection()
      const result = await race(12, (caller) => processes[caller % 2]!.run(withLock(turn, name)(section)))
      expect(result.fulfilled, name).toHaveLength(12)
      expect(most(), name).toBe(1)
    }
    const listed = await processes[0]!.run(
      withLock(turn, "a", "b", "c")(Effect.flatMap(Locks, (locks) => locks.list()))
    )
    expect(listed.map(({ key }) => key).toSorted()).toEqual(["turn:a", "turn:b", "turn:c"])
    for (const { client } of cluster.nodes) {
      expect((await client.keys("*")).filter((key) => !key.startsWith("holdfast:token:"))).toEqual([])
    }
  })

  test("renews a lock that was handed over, and skips waiters that are gone", async () => {
    await using cluster = await startRedisCluster({ replicas: 0 })
    const connection = { url: cluster.url }
    const { run } = opened(connection, { connectTimeoutMs: 5_000, fallbackMs: 300 })
    const gone = opened(connection, { connectTimeoutMs: 5_000 })
    const first = run(withLock(turn, "a")(Effect.sleep(500)))
    await eventually(async () =>
      expect(await run(Effect.flatMap(Locks, (locks) => locks.list()))).toHaveLength(1)
    )
    const leaving = gone.exit(withLock(turn, "a")(Effect.void))
    const waitsLonger = run(withLock(turn, "a")(Effect.andThen(Effect.sleep(3_000), Effect.succeed("kept"))))
    await gone.close()
    expect(await waitsLonger).toBe("kept")
    await Promise.all([first, leaving])
  })

  // Guarantees: the connection that hears a cluster's messages sends nothing, and is replaced when it has gone silent.
  test("hears again after the connection for its subscriptions has gone silent", async () => {
    await using cluster = await startRedisCluster({ replicas: 0 })
    const connection = { url: cluster.url }
    const runtime = ManagedRuntime.make(RedisStore.layer(connection, { connectTimeoutMs: 5_000 }))
    const heard: Array<string> = []
    let timesBack = 0
    const listener = {
      onMessage: (message: string) => void heard.push(message),
      onHearingAgain: () => void (timesBack += 1)
    }
    const stop = new AbortController()
    try {
      const client = await runtime.runPromise(RedisStore.use((store) => Effect.succeed(store.client)))
      const listen = Effect.flatMap(makeSubscription(client, "news", listener), ({ listening }) =>
        Effect.andThen(listening, Effect.never)
      )
      Effect.runPromise(Effect.scoped(listen), { signal: stop.signal }).catch(() => {})
      const hears = (message: string) =>
        eventually(
          async () => {
            await cluster.nodes[0]!.client.publish("news", message)
            expect(heard).toContain(message)
          },
          { timeoutMs: 8_000, everyMs: 50 }
        )
      await hears("before")
      const hidden = (client as Cluster)["subscriber"].getInstance()!
      hidden.stream.pause()
      await hears("after")
      await eventually(() => expect(timesBack).toBe(1))
    } finally {
      stop.abort()
      await runtime.dispose()
    }
  })

  // Guarantees: nothing counts as up that sends its callers elsewhere, has no master for a slot, or is a replica.
  test("counts as up only while every slot has a master that takes writes", async () => {
    await using cluster = await startRedisCluster()
    const stateAt = (url: string) => {
      const runtime = ManagedRuntime.make(RedisStore.layer({ url }, { connectTimeoutMs: 5_000 }))
      const state = () =>
        runtime.runPromise(
          RedisStore.use(({ takesWrites }) => takesWrites).pipe(
            Effect.match({ onSuccess: () => "up", onFailure: ({ message }) => message })
          )
        )
      return { state, [Symbol.asyncDispose]: () => runtime.dispose() }
    }
    await using whole = stateAt(cluster.url)
    expect(await whole.state()).toBe("up")
    await using ofMaster = stateAt(`redis://127.0.0.1:${cluster.nodes[0]!.port}`)
    expect(await ofMaster.state()).toMatch(/^MOVED/)
    await using ofReplica = stateAt(`redis://127.0.0.1:${cluster.nodes[3]!.port}`)
    expect(await ofReplica.state()).toMatch(/^(READONLY|MOVED)/)

    const [, master, , , successor] = cluster.nodes
    await successor!.freeze()
    await master!.kill()
    await eventually(async () => expect(await whole.state()).not.toBe("up"))
    for (let times = 0; times < 10; times += 1) expect(await whole.state()).not.toBe("up")
    await successor!.thaw()
    await eventually(async () => expect(await whole.state()).toBe("up"), { timeoutMs: 20_000 })
  }, 60_000)
})

describe("Redis behind a sentinel", () => {
  test.each([
    ["as options", (port: number) => ({ sentinels: [{ host: "127.0.0.1", port }], name: "main" })],
    // Nothing listens on port 1.
    ["as an address", (port: number) => ({ url: `redis+sentinel://127.0.0.1:1,127.0.0.1:${port}/main` })]
  ])(
    "given %s: serves locks after a failover, with rising tokens",
    async (_case, connectionTo) => {
      await using redis = await startRedisSentinelGroup({ replicas: 1, sentinels: 1 })
      const { run } = opened(connectionTo(redis.sentinels[0]!.port), { connectTimeoutMs: 5_000 })
      const token = Effect.map(assertHeld(turn), (lock) => lock.token("turn:a") ?? 0)
      const before = await run(withLock(turn, "a")(token))
      await redis.failOver()
      const after = await eventually(() => run(withLock(turn, "a")(token)), { timeoutMs: 20_000 })
      expect(after).toBeGreaterThan(before)
      expect(await run(withLock(once, "a")(Effect.succeed("there")))).toBe("there")
    },
    60_000
  )
})
