import { contract } from "@holdfast/domain"
import { Effect } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { FailpointListener } from "../failpoints.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import type { RunningServer } from "../../server.ts"
import { drain, runJob } from "../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { consumerOf, eventOf } from "./consumer.ts"
import { outboxRelay } from "./relay.ts"
import type { OutboxEvent } from "./outbox.ts"
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
  /** Each order has another quantity, because equal baskets of one user share a lock. */
  const paidOrder = async () => {
    const lines = [{ sku: "tea", quantity: ++placed }]
    const order = await shop.ok(contract.orders.create, { lines }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    return order.id
  }
  const published = async (): Promise<ReadonlyArray<OutboxEvent>> =>
    (await redis.client.xrange(key, "-", "+")).map(([, fields]) => eventOf(fields)!)
  const relay = (server = 0) => runJob(shop.servers[server]!, outboxRelay)
  const orderOfEvent = (event: OutboxEvent) => String(event.payload["orderId"])

  test("concurrent relays publish every event once, in the order of their ids", async () => {
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

  test("events of one order are published in their order while relays and sales run concurrently", async () => {
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

  test("an event is published only after its commit, and a late commit is not skipped", async () => {
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

  test("events of a rolled back transaction are never published", async () => {
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    await connection.query("INSERT INTO outbox (topic, payload) VALUES ('test.undone', '{}')")
    await connection.rollback()
    connection.release()
    await drain(shop.servers[0], outboxRelay)
    expect((await published()).map(({ topic }) => topic)).not.toContain("test.undone")
  })

  test("a relay that dies between Redis and its commit publishes the events again", async () => {
    const orderId = await paidOrder()
    const dying = (outboxRelay.run as Effect.Effect<number, unknown>).pipe(
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

  test("published events are published again after Redis loses everything", async () => {
    const before = await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    await redis.client.flushall()
    const after = await paidOrder()
    await drain(shop.servers[1]!, outboxRelay)
    expect((await published()).map(orderOfEvent)).toEqual(expect.arrayContaining([before, after]))
  })

  test("lost events are published again after Redis restores an old state", async () => {
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
      const job = consumerOf({
        group,
        topics: ["order.paid"],
        handle: (events) =>
          Effect.suspend(() => {
            if (fail()) return Effect.fail(new Error("not today"))
            seen.push(...events)
            return Effect.void
          })
      })
      return { seen, job }
    }

    test("every group receives every event of its topics once, shared among its servers", async () => {
      const [a, b] = [collector("a"), collector("b")]
      await drain(shop.servers[0], a.job, b.job)
      const orders = await Promise.all(Array.from({ length: 10 }, paidOrder))
      await drain(shop.servers[0], outboxRelay)
      await Promise.all([drain(shop.servers[0], a.job, b.job), drain(beside, a.job, b.job)])
      expect(new Set(a.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(a.seen).toHaveLength(orders.length)
      expect(new Set(b.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(b.seen).toHaveLength(orders.length)
    })

    test("a batch that a handler failed is delivered again, and confirmed only after success", async () => {
      let isDown = true
      const { seen, job } = collector("stubborn", () => isDown)
      await drain(shop.servers[0], job)
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      await expect(runJob(shop.servers[0], job)).rejects.toThrow("not today")
      await expect(runJob(shop.servers[0], job)).rejects.toThrow("not today")
      isDown = false
      await drain(shop.servers[0], job)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
      expect(((await redis.client.xpending(key, "stubborn")) as [number])[0]).toBe(0)
    })

    test("entries of a silent process are taken over after a while", async () => {
      const { seen, job } = collector("heirs")
      await drain(shop.servers[0], job)
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
      await drain(shop.servers[0], job)
      expect(seen).toEqual([])
      for (const [id] of taken[0][1])
        await redis.client.xclaim(key, "heirs", "a process that died", 0, id, "IDLE", 60_000)
      await drain(shop.servers[0], job)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
    })

    test("the stream is trimmed up to the slowest group, and no further", async () => {
      const [quick, slow] = [collector("quick"), collector("slow")]
      await drain(shop.servers[0], quick.job, slow.job)
      const orders = await Promise.all(Array.from({ length: 5 }, paidOrder))
      await drain(shop.servers[0], outboxRelay)
      await drain(shop.servers[0], quick.job)
      await trimStream(redis.client, key)
      expect((await published()).map(orderOfEvent)).toEqual(expect.arrayContaining(orders))
      await drain(shop.servers[0], slow.job)
      await trimStream(redis.client, key)
      expect((await published()).length).toBeLessThanOrEqual(1)
      expect(new Set(slow.seen.map(orderOfEvent))).toEqual(new Set(orders))
      expect(slow.seen).toHaveLength(orders.length)
      expect(await runJob(shop.servers[0], streamTrimmer)).toBe(0)
    })
  })
})
