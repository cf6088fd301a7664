import { connect } from "node:net"
import { Redis, type RedisOptions } from "ioredis"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { eventually } from "../race/eventually.ts"
import { startServices, type RedisService } from "../services/index.ts"
import type { FaultProxy } from "./fault-proxy.ts"
import { faultProxy } from "./proxy.ts"
import { RuleNotFired } from "./rules.ts"

describe("a fault proxy before Redis", () => {
  let server: RedisService
  let direct: Redis
  let proxy: FaultProxy
  let clients: Array<Redis>
  let stop: () => Promise<void>

  beforeAll(async () => {
    const services = await startServices({ sql: false })
    server = services.redis
    stop = () => services.stop()
    direct = new Redis(server.url())
  })
  afterAll(async () => {
    direct.disconnect()
    await stop()
  })
  beforeEach(async () => {
    await direct.del("counter", "other", "big")
    clients = []
    proxy = await faultProxy({ upstream: server, protocol: "redis", seed: 7 })
  })
  afterEach(async () => {
    for (const client of clients) client.disconnect()
    await proxy.close()
  })

  /** A client that neither reconnects nor retries, so that each test observes a single connection. */
  const client = (options: Omit<RedisOptions, "replyMapping"> = {}) => {
    const settings: Omit<RedisOptions, "replyMapping"> = {
      host: proxy.host,
      port: proxy.port,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      disableClientInfo: true,
      ...options
    }
    const made = new Redis(settings)
    made.on("error", () => {})
    clients.push(made)
    return made
  }

  describe("cut", () => {
    test("after: the server has executed the command, the client gets an error", async () => {
      const rule = proxy.cut({ when: "after", match: /^INCR/i })
      await expect(client().incr("counter")).rejects.toThrow("Connection is closed")
      expect(await direct.get("counter")).toBe("1")
      const firing = await rule.fired
      expect(firing).toMatchObject({ connection: 1, command: { name: "INCR", args: ["counter"] } })
      expect(firing.atMs).toBeGreaterThan(0)
    })

    test("before: the server never receives the command", async () => {
      const rule = proxy.cut({ when: "before", match: /^INCR/i })
      await expect(client().incr("counter")).rejects.toThrow("Connection is closed")
      await rule.fired
      expect(await direct.get("counter")).toBeNull()
    })

    test("waits for the nth match and for the replies to everything before it, pipelined or not", async () => {
      for (const pipelined of [false, true]) {
        await direct.del("counter")
        const before = proxy.cut({ when: "before", match: /^INCR/i, nth: 3 })
        const redis = client()
        const calls: Array<Promise<number>> = []
        for (let call = 0; call < 5; call += 1) {
          calls.push(redis.incr("counter"))
          if (!pipelined) await Promise.allSettled(calls)
        }
        const results = await Promise.allSettled(calls)
        expect(results.map((result) => (result.status === "fulfilled" ? result.value : "lost"))).toEqual([
          1,
          2,
          "lost",
          "lost",
          "lost"
        ])
        await before.fired
        expect(await direct.get("counter")).toBe("2")
      }
    })

    test("counts matches over all connections, or on a single one", async () => {
      const [first, second] = [client(), client()]
      await first.ping()
      await second.ping()
      const onSecond = proxy.cut({ when: "before", match: /^GET/, connection: 2 })
      expect(await first.get("counter")).toBeNull()
      await expect(second.get("counter")).rejects.toThrow()
      await onSecond.fired

      const third = proxy.cut({ when: "after", match: (command) => command.args[0] === "counter", nth: 3 })
      await first.incr("counter")
      await client().incr("counter")
      await expect(client().incr("counter")).rejects.toThrow()
      expect(await third.fired).toMatchObject({ connection: 4 })
      expect(third).toMatchObject({ matched: 3, firings: 1 })
      expect(await direct.get("counter")).toBe("3")
    })

    test("resets the connection on request", async () => {
      const errors: Array<string> = []
      proxy.cut({ when: "after", match: /^INCR/, how: "reset" })
      const redis = client()
      redis.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""))
      await expect(redis.incr("counter")).rejects.toThrow()
      await eventually(() => expect(errors).toContain("ECONNRESET"))
      expect(await direct.get("counter")).toBe("1")
    })

    test("fires the requested number of times, and two rules share the commands", async () => {
      const twice = proxy.cut({ when: "before", match: /^INCR/, times: 2 })
      const once = proxy.cut({ when: "after", match: /^INCR/ })
      const outcomes: Array<string> = []
      for (let call = 0; call < 4; call += 1)
        outcomes.push(
          await client()
            .incr("counter")
            .then(String, () => "lost")
        )
      expect(outcomes).toEqual(["lost", "lost", "lost", "2"])
      expect([twice.firings, once.firings]).toEqual([2, 1])
    })

    test("draws the same cuts from the same seed, and different ones from another", async () => {
      const lost = async (seed: number) => {
        await using seeded = await faultProxy({ upstream: server, protocol: "redis", seed })
        const rule = seeded.cut({ when: "before", match: /^INCR/, chance: 0.3 })
        const redis = client({
          port: seeded.port,
          retryStrategy: () => 0,
          enableOfflineQueue: true,
          maxRetriesPerRequest: 0
        })
        const pattern: Array<boolean> = []
        for (let call = 0; call < 40; call += 1) {
          pattern.push(
            await redis.incr("counter").then(
              () => false,
              () => true
            )
          )
          await eventually(() => redis.status === "ready")
        }
        expect(rule.firings).toBe(pattern.filter(Boolean).length)
        redis.disconnect()
        return pattern.map(Number).join("")
      }
      const first = await lost(11)
      expect(await lost(11)).toBe(first)
      expect(await lost(12)).not.toBe(first)
      expect(first).toMatch(/01|10/)
    })

    test("lists the commands it saw when none matched in time", async () => {
      const redis = client()
      await redis.incr("counter")
      const rule = proxy.cut({ when: "before", match: /^EVALSHA/i, timeoutMs: 50 })
      await expect(rule.fired).rejects.toBeInstanceOf(RuleNotFired)
      await expect(rule.fired).rejects.toThrow(
        /cut before \/\^EVALSHA\/i, nth 1, did not fire within 50 ms \(0 commands matched\); the proxy saw: .*INCR 1/
      )
      await redis.eval("return 1", 0)
      const waiting = proxy.cut({ when: "before", match: /^EVALSHA/i })
      await proxy.close()
      await expect(waiting.fired).rejects.toThrow("before the proxy was closed")
    })
  })

  describe("hold", () => {
    test("before: the command waits at the proxy", async () => {
      const held = proxy.hold({ when: "before", match: /^INCR/ })
      const answer = client().incr("counter")
      await held.fired
      expect(await direct.get("counter")).toBeNull()
      held.release()
      expect(await answer).toBe(1)
    })

    test("after: the reply waits at the proxy, complete and unchanged", async () => {
      const value = "x".repeat(3_000_000)
      await direct.set("big", value)
      const held = proxy.hold({ when: "after", match: /^GETSET/ })
      let answered = false
      const answer = client()
        .getset("big", "new")
        .finally(() => (answered = true))
      await held.fired
      expect(await direct.get("big")).toBe("new")
      expect(answered).toBe(false)
      held.release()
      expect(await answer).toBe(value)
    })

    test("releases at the deadline", async () => {
      const redis = client()
      await redis.ping()
      const held = proxy.hold({ when: "before", match: /^INCR/, timeoutMs: 800 })
      expect(await redis.incr("counter")).toBe(1)
      await held.fired
      expect(proxy.log.find((entry) => entry.what === "released")?.detail).toContain("deadline of 800 ms")
    })
  })

  describe("latency", () => {
    test("delays each command, and pipelined ones together", async () => {
      const redis = client()
      await redis.ping()
      const latency = proxy.latency({ ms: 100, direction: "both", match: /^INCR/ })
      const startedAt = performance.now()
      await redis.incr("counter")
      const oneMs = performance.now() - startedAt
      expect(oneMs).toBeGreaterThan(195)
      await Promise.all(Array.from({ length: 20 }, () => redis.incr("counter")))
      expect(performance.now() - startedAt - oneMs).toBeLessThan(1_500)
      latency.remove()
      await eventually(async () => {
        const removedAt = performance.now()
        await redis.incr("counter")
        expect(performance.now() - removedAt).toBeLessThan(100)
      })
    })

    test("keeps the order of replies, however the delays are drawn", async () => {
      proxy.latency({ ms: { min: 0, max: 20 }, direction: "both" })
      const redis = client()
      const answers = await Promise.all(Array.from({ length: 50 }, () => redis.incr("counter")))
      expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    })
  })

  describe("freeze", () => {
    test("holds bytes in both directions with open sockets, for new connections, too", async () => {
      const redis = client()
      await redis.ping()
      proxy.freeze()
      const frozen = [redis.incr("counter"), client().incr("counter")]
      expect(
        await Promise.race([...frozen, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])
      ).toBe("silence")
      expect(await direct.get("counter")).toBeNull()
      proxy.thaw()
      expect(new Set(await Promise.all(frozen))).toEqual(new Set([1, 2]))
      expect(redis.status).toBe("ready")
    })

    test("holds only the replies on request: the server works, the client waits", async () => {
      const redis = client()
      await redis.ping()
      proxy.freeze("reply")
      const answer = redis.incr("counter")
      await eventually(async () => (await direct.get("counter")) === "1")
      expect(
        await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])
      ).toBe("silence")
      proxy.thaw()
      expect(await answer).toBe(1)
    })

    test("buffers a bounded amount, slows the sender down and loses nothing", async () => {
      const part = Buffer.alloc(256 * 1024, "x")
      const parts = 192
      const socket = connect(proxy.port, proxy.host)
      const write = (bytes: Buffer | string) => new Promise((resolve) => socket.write(bytes, resolve))
      let taken = 0
      const sendAll = async () => {
        for (; taken < parts; taken += 1) {
          await write(`*3\r\n$6\r\nAPPEND\r\n$3\r\nbig\r\n$${part.length}\r\n`)
          await write(part)
          await write("\r\n")
        }
      }
      try {
        await new Promise((resolve) => socket.once("connect", resolve))
        proxy.freeze()
        const sending = sendAll()
        // Until neither the proxy nor the kernel accepts more, so that the rest stays with the sender.
        let takenBefore = -1
        const stalled = () => {
          const isStalled = taken === takenBefore
          takenBefore = taken
          return isStalled
        }
        await eventually(stalled, { everyMs: 200 })
        expect(taken).toBeLessThan(parts * 0.75)
        proxy.thaw()
        await sending
        await eventually(async () => (await direct.strlen("big")) === parts * part.length)
      } finally {
        socket.destroy()
      }
    })
  })

  test("turns new connections away until it accepts again", async () => {
    const old = client()
    await old.ping()
    for (const [how, code] of [
      ["closed", "ECONNRESET"],
      ["refused", "ECONNREFUSED"]
    ] as const) {
      await proxy.refuse(how)
      const errors: Array<string | undefined> = []
      const turnedAway = client()
      turnedAway.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code))
      await expect(turnedAway.ping()).rejects.toThrow()
      expect(errors).toEqual([code])
      expect(await old.ping()).toBe("PONG")
      const port = proxy.port
      await proxy.accept()
      expect(proxy.port).toBe(port)
      expect(await client().ping()).toBe("PONG")
    }
  })

  test("leaves a client half-open: the server's side is closed, the client's socket stays silent", async () => {
    const redis = client()
    const id = String(await redis.client("ID"))
    proxy.halfOpen()
    const answer = redis.incr("counter").then(
      () => "answered",
      () => "closed"
    )
    await eventually(async () => expect(await direct.client("LIST")).not.toContain(`id=${id} `))
    expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])).toBe(
      "silence"
    )
    expect(redis.status).toBe("ready")
    expect(await direct.get("counter")).toBeNull()
  })

  test("cuts all connections at once and accepts new ones", async () => {
    const waiting = client().blpop("other", 0)
    await eventually(() => proxy.count("BLPOP") === 1)
    proxy.cutAll()
    await expect(waiting).rejects.toThrow("Connection is closed")
    expect(await client().ping()).toBe("PONG")
  })

  test("counts the commands of each connection and keeps a log", async () => {
    const [first, second] = [client(), client()]
    await first.incr("counter")
    await second.incr("counter")
    await second.get("counter")
    proxy.cutAll()
    await eventually(() => proxy.connections.every((connection) => !connection.isOpen))
    expect(proxy.count("INCR")).toBe(2)
    expect(proxy.connections.map((connection) => connection.commands.get("GET") ?? 0)).toEqual([0, 1])
    const did = proxy.log.map((entry) => entry.what)
    expect(did).toEqual(expect.arrayContaining(["accepts", "opened", "cut all (close)"]))
  })

  test("does not mistake pushed messages for replies (RESP3)", async () => {
    const socket = connect(proxy.port, proxy.host)
    let received = ""
    socket.setEncoding("utf8").on("data", (chunk: string) => (received += chunk))
    const closed = new Promise((resolve) => socket.once("close", resolve))
    socket.write("HELLO 3\r\nSUBSCRIBE news sports\r\n")
    await eventually(() => received.includes("sports"))
    const rule = proxy.cut({ when: "after", match: /^INCR other/ })
    await direct.publish("news", "first")
    const held = proxy.hold({ when: "before", match: /^PING/ })
    socket.write(
      "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n*2\r\n$4\r\nINCR\r\n$5\r\nother\r\n"
    )
    await held.fired
    await direct.publish("sports", "second")
    held.release()
    await closed
    await rule.fired
    expect(received).toContain("first")
    expect(received).toContain("second")
    expect(received).toContain("+PONG\r\n")
    expect(received).toMatch(/:1\r\n$/)
    expect(await direct.mget("counter", "other")).toEqual(["1", "1"])
  })

  test("does not mistake messages for replies on a subscriber's connection (RESP2)", async () => {
    const subscriber = client({ protocol: 2 })
    const messages: Array<string> = []
    subscriber.on("message", (_channel, message) => messages.push(message))
    await subscriber.subscribe("news", "sports")
    await direct.publish("news", "first")
    const rule = proxy.cut({ when: "after", match: /^UNSUBSCRIBE/ })
    await eventually(() => expect(messages).toEqual(["first"]))
    const left = subscriber.unsubscribe()
    await expect(left).rejects.toThrow("Connection is closed")
    await rule.fired
    expect(await direct.pubsub("NUMSUB", "news")).toEqual(["news", 0])
  })

  test("refuses rules about commands under protocol raw", async () => {
    await using raw = await faultProxy({ upstream: server, protocol: "raw" })
    expect(await client({ port: raw.port }).ping()).toBe("PONG")
    expect(() => raw.cut({ when: "before" })).toThrow('needs protocol "redis" or "mysql", not "raw"')
  })

  test("passes the absence of a server on to the client", async () => {
    await using nowhere = await faultProxy({ upstream: { host: "127.0.0.1", port: 1 }, protocol: "redis" })
    await expect(client({ port: nowhere.port }).ping()).rejects.toThrow()
    expect(nowhere.log.map((entry) => entry.detail).join()).toContain("ECONNREFUSED")
  })
})
