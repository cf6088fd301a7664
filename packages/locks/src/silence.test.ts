import { eventually } from "@holdfast/testkit"
import { faultProxy, type FaultProxy } from "@holdfast/testkit/faults"
import { Effect, ManagedRuntime, Redacted } from "effect"
import { afterEach, describe, expect, test } from "vitest"
import { redisFixture } from "../test/fixture.ts"
import { ledgerFixture } from "../test/ledger.ts"
import { once } from "../test/members.ts"
import { namedLocks } from "./backends/mysql.ts"
import { askRedis, RedisStore } from "./redis/client.ts"
import { makeSubscription } from "./redis/pubsub.ts"
import { withLock } from "./with-lock.ts"

/** A store is used again within this time after its network is back. */
const WHOLE_WITHIN_MS = 5_000

const redis = redisFixture()
const books = ledgerFixture()
const closing: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const proxied = async (protocol: "redis" | "mysql", url: string): Promise<[FaultProxy, string]> => {
  const { hostname, port } = new URL(url)
  const proxy = await faultProxy({ protocol, upstream: { host: hostname, port: Number(port) } })
  closing.push(() => proxy.close())
  return [proxy, proxy.through(url)]
}

const open = (url: string) => {
  const runtime = ManagedRuntime.make(RedisStore.layer({ url }))
  closing.push(() => runtime.dispose())
  return runtime
}

const timed = async <A>(call: () => Promise<A>) => {
  const startedAtMs = performance.now()
  return { answer: await call(), tookMs: performance.now() - startedAtMs }
}

describe("silent connections to Redis", () => {
  test.each(["idle", "in flight"])("the client's connection goes silent while it is %s", async (state) => {
    const [proxy, url] = await proxied("redis", redis.service.url())
    const runtime = open(url)
    const set = askRedis((client) => client.set("a", "1"))
    await runtime.runPromise(set)
    if (state === "idle") proxy.halfOpen()
    else proxy.cut({ when: "before", how: "halfOpen", match: /^SET/i })
    const { tookMs } = await timed(() => runtime.runPromise(Effect.exit(set)))
    expect(tookMs).toBeLessThan(3_000)
    await eventually(() => runtime.runPromise(set), { timeoutMs: WHOLE_WITHIN_MS })
  })

  // Guarantees: a subscriber sends nothing, and still finds out that it hears nothing any more.
  test("a subscriber whose connection goes silent hears again", async () => {
    const [proxy, url] = await proxied("redis", redis.service.url())
    const runtime = open(url)
    const heard: Array<string> = []
    let timesBack = 0
    const listener = {
      onMessage: (message: string) => void heard.push(message),
      onHearingAgain: () => void (timesBack += 1)
    }
    const listen = RedisStore.use(({ client }) => makeSubscription(client, "news", listener))
    const scoped = Effect.scoped(
      Effect.flatMap(listen, ({ listening }) => Effect.andThen(listening, Effect.never))
    )
    const stop = new AbortController()
    closing.push(async () => stop.abort())
    runtime.runPromise(scoped, { signal: stop.signal }).catch(() => {})
    await eventually(async () => {
      await redis.plain.publish("news", "before")
      expect(heard).toContain("before")
    })
    proxy.halfOpen()
    const { tookMs } = await timed(() =>
      eventually(
        async () => {
          await redis.plain.publish("news", "after")
          expect(heard).toContain("after")
        },
        { timeoutMs: WHOLE_WITHIN_MS, everyMs: 50 }
      )
    )
    console.log(`heard again after ${Math.round(tookMs)} ms`)
    await eventually(() => expect(timesBack).toBeGreaterThan(0))
  })
})

describe("silent connections of named locks", () => {
  const nowhere = "redis://127.0.0.1:1"
  const take = withLock(once, "a")(Effect.succeed("locked"))

  test("idle connections that have gone silent are replaced", async () => {
    const [proxy, url] = await proxied("mysql", books.url())
    const { run } = redis.member({ namedLocks: namedLocks({ url: Redacted.make(url) }) }, nowhere)
    expect(await run(take)).toBe("locked")
    proxy.halfOpen()
    await eventually(() => expect(proxy.connections.filter(({ isOpen }) => isOpen)).toHaveLength(1))
    // Idle for long enough to be asked.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const { answer, tookMs } = await timed(() => run(take))
    expect(answer).toBe("locked")
    expect(tookMs).toBeLessThan(WHOLE_WITHIN_MS)
  })

  test("a holder that the server hears no more loses its lock at the end of the lease", async () => {
    const [proxy, url] = await proxied("mysql", books.url())
    const silent = redis.member({ namedLocks: namedLocks({ url: Redacted.make(url) }) }, nowhere)
    const other = redis.member({ namedLocks: namedLocks({ url: Redacted.make(books.url()) }) }, nowhere)
    const held = silent.exit(withLock(once, "a")(Effect.never))
    await eventually(async () => expect(await other.exit(take)).toMatchObject({ _tag: "Failure" }))
    proxy.freeze()
    await eventually(() => other.run(take), { timeoutMs: 20_000, everyMs: 100 })
    proxy.thaw()
    expect(await held).toMatchObject({ _tag: "Failure" })
  })

  test("nobody waits for a database that is known to be away", async () => {
    const url = Redacted.make("mysql://root@10.255.255.1:3306/nowhere")
    const { exit } = redis.member({ namedLocks: namedLocks({ url, isUp: () => false }) }, nowhere)
    const { answer, tookMs } = await timed(() => exit(take))
    expect(answer).toMatchObject({ _tag: "Failure" })
    expect(tookMs).toBeLessThan(1_000)
  })
})
