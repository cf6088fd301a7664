import { contract } from "@holdfast/domain"
import { Effect } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { FailpointListener } from "../failpoints.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import type { RunningServer } from "../../server.ts"
import { drain, round } from "../../../test/rounds.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { consumerOf } from "./consumer.ts"
import { outboxRelay } from "./relay.ts"
import { eventOf, type OutboxEvent } from "./stream.ts"
import { streamTrimmer, trimStream } from "./retention.ts"

describe("the outbox", () => {
  let redis: PrivateRedis
  let shop: Shop
  let beside: RunningServer
  let user: TestUser
  let key: string
  beforeAll(async () => {
    redis = await startPrivateRedis()
    shop = await Shop.open({ servers: 2, redisUrl: redis.url })
    beside = await shop.openBeside()
    await shop.newProduct("tea", 100_000, 100)
    user = await shop.newUser(1_000_000_000)
    await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    key = (await redis.client.keys("*:events"))[0]!
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await redis.stop()
  })
  beforeEach(async () => {
    await drain(shop.servers[0], outboxRelay)
    const groups = (await redis.client.xinfo("GROUPS", key)) as Array<Array<string>>
    for (const group of groups) await redis.client.xgroup("DESTROY", key, group[1]!)
    await redis.client.xtrim(key, "MAXLEN", "=", 0)
  })

  let placed = 0
  /** Each of another quantity: equal baskets of one user are placed one after another. */
  const paidOrder = async () => {
    const lines = [{ sku: "tea", quantity: ++placed }]
    const order = await shop.ok(contract.orders.create, { lines }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    return order.id
  }
  const published = async (): Promise<ReadonlyArray<OutboxEvent>> =>
    (await redis.client.xrange(key, "-", "+")).map(([, fields]) => eventOf(fields)!)
  const relay = (server = 0) => round(shop.servers[server]!, outboxRelay)
  const orderOfEvent = (event: OutboxEvent) => String(event.payload["orderId"])

  test("events are published once each, by any number of relays at once, in the order of their numbers", async () => {
    const orders = await Promise.all(Array.from({ length: 40 }, paidOrder))
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        for (let n = 0; n < 5; n++) await relay(index % 2)
      })
    )
    const events = (await published()).filter(({ topic }) => topic === "order.paid")
    expect(new Set(events.map(orderOfEvent))).toEqual(new Set(orders))
    expect(events).toHaveLength(orders.length)
    const numbers = events.map(({ eventId }) => eventId)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })

  // Guarantees: what the consumers hear of an order they hear in the order in which it happened.
  test("the events of one order stay in their order while relays and sales go on", async () => {
    const sale = { isOver: false }
    const relays = [0, 1].map(async (server) => {
      while (!sale.isOver) await relay(server)
    })
    const orders = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const orderId = await paidOrder()
        await shop.ok(contract.orders.cancel, { orderId }, user)
        return orderId
      })
    )
    sale.isOver = true
    await Promise.all(relays)
    await drain(shop.servers[0], outboxRelay)
    const events = await published()
    for (const orderId of orders) {
      const topics = events.filter((event) => orderOfEvent(event) === orderId).map(({ topic }) => topic)
      expect(topics.indexOf("order.paid")).toBeGreaterThanOrEqual(0)
      expect(topics.indexOf("order.paid")).toBeLessThan(topics.indexOf("order.refunded"))
    }
  })

  // Known from comparable systems: events published before the commit.
  test("an event is published after its commit, never before, and one that commits late is not passed over", async () => {
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    await connection.query("INSERT INTO outbox (topic, payload) VALUES ('test.late', '{}')")
    const orderId = await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    expect((await published()).map(orderOfEvent)).toContain(orderId)
    expect((await published()).map(({ topic }) => topic)).not.toContain("test.late")
    await connection.commit()
    connection.release()
    await drain(shop.servers[0], outboxRelay)
    expect((await published()).map(({ topic }) => topic)).toContain("test.late")
  })

  test("an event of a transaction that is rolled back is never published", async () => {
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    await connection.query("INSERT INTO outbox (topic, payload) VALUES ('test.undone', '{}')")
    await connection.rollback()
    connection.release()
    await drain(shop.servers[0], outboxRelay)
    expect((await published()).map(({ topic }) => topic)).not.toContain("test.undone")
  })

  test("a relay that dies between Redis and its commit publishes again: twice, but never not at all", async () => {
    const orderId = await paidOrder()
    const dying = (outboxRelay.round as Effect.Effect<number, unknown>).pipe(
      Effect.provideService(FailpointListener, () => {
        throw new Error("the power is gone")
      })
    )
    await expect(shop.servers[0].runtime.runPromise(dying)).rejects.toThrow("the power is gone")
    await drain(shop.servers[1]!, outboxRelay)
    const times = (await published()).filter((event) => orderOfEvent(event) === orderId)
    expect(times.length).toBeGreaterThan(1)
    expect(new Set(times.map(({ eventId, topic }) => `${eventId} ${topic}`)).size).toBe(
      new Set(times.map(({ topic }) => topic)).size
    )
  })

  test("Redis loses everything: what was published is published again", async () => {
    const before = await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    await redis.client.flushall()
    const after = await paidOrder()
    await drain(shop.servers[1]!, outboxRelay)
    expect((await published()).map(orderOfEvent)).toEqual(expect.arrayContaining([before, after]))
  })

  test("Redis comes back as it was a while ago: what it forgot is published again", async () => {
    await redis.client.save()
    const dump = await redis.client.dumpBuffer(key)
    const forgotten = await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    await redis.client.restore(key, 0, dump, "REPLACE")
    await relay()
    await drain(shop.servers[0], outboxRelay)
    expect((await published()).map(orderOfEvent)).toContain(forgotten)
  })

  describe("consumers", () => {
    const collector = (group: string, fail: () => boolean = () => false) => {
      const seen: Array<OutboxEvent> = []
      const worker = consumerOf({
        group,
        topics: ["order.paid"],
        handle: (events) =>
          Effect.suspend(() => {
            if (fail()) return Effect.fail(new Error("not today"))
            seen.push(...events)
            return Effect.void
          })
      })
      return { seen, worker }
    }

    test("every group gets every event of its topics, and shares them among its servers", async () => {
      const [a, b] = [collector("a"), collector("b")]
      await drain(shop.servers[0], a.worker, b.worker)
      const orders = await Promise.all(Array.from({ length: 10 }, paidOrder))
      await drain(shop.servers[0], outboxRelay)
      await Promise.all([drain(shop.servers[0], a.worker, b.worker), drain(beside, a.worker, b.worker)])
      expect(new Set(a.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(a.seen).toHaveLength(orders.length)
      expect(new Set(b.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(b.seen).toHaveLength(orders.length)
    })

    test("what a handler could not do comes again, and is confirmed only then", async () => {
      let isDown = true
      const { seen, worker } = collector("stubborn", () => isDown)
      await drain(shop.servers[0], worker)
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      await expect(round(shop.servers[0], worker)).rejects.toThrow("not today")
      await expect(round(shop.servers[0], worker)).rejects.toThrow("not today")
      isDown = false
      await drain(shop.servers[0], worker)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
      expect(((await redis.client.xpending(key, "stubborn")) as [number])[0]).toBe(0)
    })

    test("what a process took and never confirmed is taken over when it has been silent for long", async () => {
      const { seen, worker } = collector("heirs")
      await drain(shop.servers[0], worker)
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      const taken = (await redis.client.xreadgroup(
        "GROUP",
        "heirs",
        "a process that died",
        "STREAMS",
        key,
        ">"
      )) as [[string, Array<[string, Array<string>]>]]
      await drain(shop.servers[0], worker)
      expect(seen).toEqual([])
      for (const [id] of taken[0][1])
        await redis.client.xclaim(key, "heirs", "a process that died", 0, id, "IDLE", 60_000)
      await drain(shop.servers[0], worker)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
    })

    test("the stream is trimmed behind the slowest group, and never before it", async () => {
      const [quick, slow] = [collector("quick"), collector("slow")]
      await drain(shop.servers[0], quick.worker, slow.worker)
      const orders = await Promise.all(Array.from({ length: 5 }, paidOrder))
      await drain(shop.servers[0], outboxRelay)
      await drain(shop.servers[0], quick.worker)
      await trimStream(redis.client, key)
      expect((await published()).map(orderOfEvent)).toEqual(expect.arrayContaining(orders))
      await drain(shop.servers[0], slow.worker)
      await trimStream(redis.client, key)
      expect((await published()).length).toBeLessThanOrEqual(1)
      expect(new Set(slow.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(slow.seen).toHaveLength(orders.length)
      expect(await round(shop.servers[0], streamTrimmer)).toBe(0)
    })
  })
})
