import { eventually } from "@holdfast/testkit"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { afterEach, describe, expect, test } from "vitest"
import { redisFixture } from "../../test/fixture.ts"
import { once, testOrder } from "../../test/members.ts"
import { Locks } from "../layer.ts"
import { withLock } from "../with-lock.ts"
import { RedisUnavailable } from "./breaker.ts"
import { askRedis, RedisStore } from "./client.ts"

const redis = redisFixture()

const COMMAND_TIMEOUT_MS = 300

/** One process: its store, and the locks that share it. */
const open = () => {
  const store = RedisStore.layer({ url: redis.service.url() }, { commandTimeoutMs: COMMAND_TIMEOUT_MS })
  const quiet = Logger.layer([])
  const runtime = ManagedRuntime.make(
    Locks.layer(testOrder).pipe(Layer.provideMerge(store), Layer.provideMerge(quiet))
  )
  runtimes.push(runtime)
  return runtime
}
const runtimes: Array<{ readonly dispose: () => Promise<void> }> = []
afterEach(async () => {
  await Promise.all(runtimes.splice(0).map((runtime) => runtime.dispose()))
})

const ping = askRedis((client) => client.ping())
const isUp = RedisStore.use(({ isUp: up }) => Effect.sync(up))

const replyError = (message: string): Error => Object.assign(new Error(message), { name: "ReplyError" })

describe("RedisUnavailable", () => {
  test.each<[cause: unknown, everywhere: boolean]>([
    [new Error("Connection is closed."), true],
    [new Error("Command timed out"), true],
    ["a cause that is no error", true],
    ...["LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "MISCONF", "OOM", "BUSY"].map(
      (code): [unknown, boolean] => [replyError(`${code} cannot serve`), true]
    ),
    [replyError("WRONGTYPE Operation against a key holding the wrong kind of value"), false],
    [replyError("NOGROUP No such key"), false],
    [replyError("BUSYGROUP Consumer Group name already exists"), false],
    [new TypeError("a bug of the caller"), false]
  ])("%s: everywhere is %s", (cause, everywhere) => {
    expect(new RedisUnavailable({ cause })).toMatchObject({ everywhere })
  })
})

describe("a Redis that is away", () => {
  // Guarantees: only the calls that find out wait for the deadline; all later ones fail at once, in locks and outside.
  test("fails calls at once while it is away, and is used again when it answers", async () => {
    const runtime = open()
    expect(await runtime.runPromise(ping)).toBe("PONG")
    await redis.service.freeze()
    try {
      const failure = await runtime.runPromise(Effect.flip(ping))
      expect(failure).toMatchObject({ _tag: "RedisUnavailable", everywhere: true })
      const askedAtMs = performance.now()
      for (let call = 0; call < 100; call += 1) await runtime.runPromise(Effect.flip(ping))
      // There is no fallback to named locks here, so the lock is refused, and as quickly.
      await runtime.runPromise(Effect.flip(withLock(once, "a")(Effect.void)))
      expect(performance.now() - askedAtMs).toBeLessThan(COMMAND_TIMEOUT_MS)
      expect(await runtime.runPromise(isUp)).toBe(false)
    } finally {
      await redis.service.thaw()
    }
    await eventually(async () => expect(await runtime.runPromise(isUp)).toBe(true))
    expect(await runtime.runPromise(ping)).toBe("PONG")
    expect(await runtime.runPromise(withLock(once, "a")(Effect.succeed("locked")))).toBe("locked")
  })

  test("makes no call while it is away", async () => {
    const runtime = open()
    await runtime.runPromise(ping)
    await redis.service.kill()
    await runtime.runPromise(Effect.flip(ping))
    let calls = 0
    const counted = askRedis(async () => void (calls += 1))
    expect(await runtime.runPromise(Effect.flip(counted))).toBeInstanceOf(RedisUnavailable)
    expect(calls).toBe(0)
    await redis.service.restart()
    await eventually(() => runtime.runPromise(counted), { timeoutMs: 10_000 })
    expect(calls).toBe(1)
  })
})

describe("a Redis that refuses one call", () => {
  test.each<[string, Effect.Effect<unknown, RedisUnavailable, RedisStore>, RegExp]>([
    ["an error reply", askRedis((client) => client.lpush("text", "a")), /^WRONGTYPE/],
    [
      "a bug in the reading of the reply",
      askRedis(async (client) => JSON.parse((await client.get("text"))!)),
      /JSON/
    ],
    [
      "a bug before the call",
      askRedis(() => {
        throw new TypeError("no call")
      }),
      /^no call/
    ]
  ])("stays up for all others: %s", async (_case, call, message) => {
    const runtime = open()
    await redis.plain.set("text", "no list")
    const failure = await runtime.runPromise(Effect.flip(call))
    expect(failure).toMatchObject({ _tag: "RedisUnavailable", everywhere: false })
    expect(failure.message).toMatch(message)
    expect(await runtime.runPromise(isUp)).toBe(true)
    expect(await runtime.runPromise(ping)).toBe("PONG")
  })
})
