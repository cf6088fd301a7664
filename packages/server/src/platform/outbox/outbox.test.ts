import { contract } from "@holdfast/domain"
import { RedisUnavailable } from "@holdfast/locks"
import { eventually } from "@holdfast/testkit"
import { barrier } from "@holdfast/testkit/race"
import { Effect, Metric } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { FailpointListener } from "../failpoints.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import type { App } from "../../app.ts"
import type { Job } from "../jobs/runner.ts"
import type { RunningServer } from "../../server.ts"
import { drain, runJob } from "../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { announcedAfter } from "./announcements.ts"
import { consumerOf } from "./consumer.ts"
import { outboxRelay } from "./relay.ts"
import type { OutboxEvent } from "./outbox.ts"
import { outboxTrimmer } from "./retention.ts"

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
    await shop.sql.query("DELETE FROM worker_turns WHERE worker LIKE 'events for %'")
    const [[last]] = (await shop.sql.query("SELECT MAX(sequence) AS sequence FROM outbox")) as unknown as [
      [{ sequence: number }]
    ]
    publishedBefore = last.sequence
  })

  let publishedBefore = 0
  let placed = 0
  /** Each order has another quantity, because equal baskets of one user share a lock. */
  const paidOrder = async () => {
    const lines = [{ sku: "tea", quantity: ++placed }]
    const order = await shop.ok(contract.orders.create, { lines }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    return order.id
  }
  /** What this test has published, in the order in which consumers handle it. */
  const published = async (): Promise<ReadonlyArray<OutboxEvent>> => {
    const [rows] = await shop.sql.query(
      "SELECT id, topic, payload FROM outbox WHERE sequence > ? ORDER BY sequence",
      [publishedBefore]
    )
    return (rows as Array<{ id: number; topic: string; payload: string }>).map(({ id, payload, topic }) => ({
      eventId: id,
      topic,
      payload: JSON.parse(payload) as OutboxEvent["payload"]
    }))
  }
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
    const announced = await redis.client.xrange(key, "-", "+")
    for (const { eventId } of events)
      expect(announced.filter(([, [, number]]) => Number(number) === eventId)).toHaveLength(1)
    expect(new Set(events.map(orderOfEvent))).toEqual(new Set(orders))
    expect(events).toHaveLength(orders.length)
    const numbers = (await published()).map(({ eventId }) => eventId)
    expect(new Set(numbers).size).toBe(numbers.length)
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

  test("an event that is published while a later one waits for its commit has its place before it", async () => {
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    await connection.query("INSERT INTO outbox (topic, payload) VALUES ('test.last', '{}')")
    await paidOrder()
    await drain(shop.servers[0], outboxRelay)
    await connection.commit()
    connection.release()
    await drain(shop.servers[1]!, outboxRelay)
    expect((await published()).at(-1)?.topic).toBe("test.last")
    const [rows] = await shop.sql.query("SELECT MAX(sequence) - COUNT(*) AS gaps FROM outbox")
    expect(rows).toEqual([{ gaps: 0 }])
  })

  describe("consumers", () => {
    /** A consumer that has handled everything so far. */
    const collector = async (
      group: string,
      handle = (_events: ReadonlyArray<OutboxEvent>): Effect.Effect<void, Error> => Effect.void
    ) => {
      const seen: Array<OutboxEvent> = []
      let isReady = false
      const job = consumerOf({
        group,
        topics: ["order.paid", "test.poison"],
        handle: (events) =>
          isReady ? Effect.map(handle(events), () => void seen.push(...events)) : Effect.void
      })
      await drain(shop.servers[0], job)
      isReady = true
      return { seen, job }
    }
    /** Rounds until the condition holds: what Redis does not announce is found a little later. */
    const settled = (
      job: Job<App>,
      condition: () => void | Promise<void>,
      server: RunningServer = shop.servers[0]
    ) =>
      eventually(
        async () => {
          await drain(server, outboxRelay, job)
          await condition()
        },
        { timeoutMs: 15_000 }
      )

    // Guarantees: two processes that serve a group handle no event twice, and leave none out.
    test("every group receives every event of its topics once, shared among its servers", async () => {
      const [a, b] = [await collector("a"), await collector("b")]
      const orders = await Promise.all(Array.from({ length: 10 }, paidOrder))
      await drain(shop.servers[0], outboxRelay)
      await Promise.all([drain(shop.servers[0], a.job, b.job), drain(beside, a.job, b.job)])
      await drain(beside, a.job, b.job)
      for (const { seen } of [a, b]) {
        expect(new Set(seen.map(orderOfEvent))).toEqual(new Set(orders))
        expect(seen).toHaveLength(orders.length)
        const numbers = seen.map(({ eventId }) => eventId)
        expect(numbers).toEqual(numbers.toSorted((x, y) => x - y))
      }
    })

    test("a batch that finds a store away is handled again, and the position moves only after success", async () => {
      let isDown = false
      const away = new RedisUnavailable({ cause: new Error("Connection is closed.") })
      const { job, seen } = await collector("stubborn", () => (isDown ? Effect.fail(away) : Effect.void))
      isDown = true
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      await expect(runJob(shop.servers[0], job)).rejects.toThrow("Connection is closed.")
      await expect(runJob(shop.servers[0], job)).rejects.toThrow("Connection is closed.")
      isDown = false
      await drain(shop.servers[0], job)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
      expect(await setAside("stubborn")).toEqual([])
    })

    const setAside = async (consumer: string) => {
      const [rows] = await shop.sql.query(
        "SELECT CAST(item AS UNSIGNED) AS event, reason, failures FROM set_aside WHERE job = ? ORDER BY event",
        [`events for ${consumer}`]
      )
      return rows as Array<{ event: number; reason: string; failures: number }>
    }
    const insertEvent = async (topic: string, payload: string) => {
      const [{ insertId }] = (await shop.sql.query("INSERT INTO outbox (topic, payload) VALUES (?, ?)", [
        topic,
        payload
      ])) as unknown as [{ insertId: number }]
      return insertId
    }
    /** Any announcement makes the consumers look at once. */
    const makeDue = async () => {
      await shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3)")
      await redis.client.xadd(key, "*", "event", "1")
    }

    test.each<readonly [string, (event: OutboxEvent) => Effect.Effect<void, Error>]>([
      ["fails for", () => Effect.fail(new Error("not this one"))],
      ["dies of", () => Effect.die(new Error("not this one"))],
      [
        "throws for",
        () => {
          throw new Error("not this one")
        }
      ],
      [
        "is refused by Redis for",
        () =>
          Effect.fail(
            new RedisUnavailable({ cause: Object.assign(new Error("not this one"), { name: "ReplyError" }) })
          )
      ]
    ])(
      "an event that a handler %s is set aside, the others go on, and it is tried again",
      async (how, poison) => {
        let isCured = false
        const group = `cautious-${how.split(" ")[0]}`
        const { job, seen } = await collector(group, (events) => {
          const bad = events.find(({ topic }) => topic === "test.poison")
          return bad === undefined || isCured ? Effect.void : poison(bad)
        })
        const before = await paidOrder()
        const poisonId = await insertEvent("test.poison", "{}")
        const after = await paidOrder()
        await drain(shop.servers[0], outboxRelay, job)
        expect(seen.map(orderOfEvent)).toEqual([before, after])
        expect(await setAside(group)).toEqual([
          { event: poisonId, reason: expect.stringContaining("not this one"), failures: 1 }
        ])
        await makeDue()
        await drain(shop.servers[0], job)
        expect(await setAside(group)).toMatchObject([{ failures: 2 }])
        isCured = true
        await makeDue()
        await settled(job, () => expect(seen.map(({ eventId }) => eventId)).toContain(poisonId))
        expect(await setAside(group)).toEqual([])
      }
    )

    test.each(["{", "", "null", "[]", "7", '"text"'])(
      "an event whose payload is %j is set aside, the others go on, and it is handled once it is mended",
      async (payload) => {
        const { job, seen } = await collector("reader")
        const poisonId = await insertEvent("test.poison", payload)
        const orderId = await paidOrder()
        await drain(shop.servers[0], outboxRelay, job)
        expect(seen.map(orderOfEvent)).toEqual([orderId])
        expect(await setAside("reader")).toEqual([
          { event: poisonId, reason: "the payload is no JSON object", failures: 1 }
        ])
        await shop.sql.query("UPDATE outbox SET payload = '{}' WHERE id = ?", [poisonId])
        await makeDue()
        await settled(job, () => expect(seen.map(({ eventId }) => eventId)).toContain(poisonId))
        expect(await setAside("reader")).toEqual([])
      }
    )

    test("events that fail wait longer each time; one that is deleted is set aside no more", async () => {
      const { job } = await collector("waiting", (events) =>
        events.some(({ topic }) => topic === "test.poison") ? Effect.fail(new Error("no")) : Effect.void
      )
      const poisonId = await insertEvent("test.poison", "{}")
      await drain(shop.servers[0], outboxRelay, job)
      for (const seconds of [5, 10, 20]) {
        const [rows] = await shop.sql.query(
          "SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), next_attempt_at) / 1e6 AS pause_s FROM set_aside"
        )
        const [{ pause_s }] = rows as unknown as [{ pause_s: number }]
        expect(pause_s).toBeGreaterThan(seconds - 4)
        expect(pause_s).toBeLessThanOrEqual(seconds)
        await makeDue()
        await drain(shop.servers[0], job)
      }
      await shop.sql.query("DELETE FROM outbox WHERE id = ?", [poisonId])
      await makeDue()
      await settled(job, async () => expect(await setAside("waiting")).toEqual([]))
    })

    // Guarantees: what a process took and did not finish is handled by another one, at once.
    test("events of a process that dies while it handles them are handled by another", async () => {
      let hangs = false
      const taken = barrier(2)
      const { job, seen } = await collector("heirs", () =>
        hangs ? Effect.promise(() => taken.arrive()).pipe(Effect.andThen(Effect.never)) : Effect.void
      )
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      hangs = true
      const dying = new AbortController()
      const died = shop.servers[0].runtime.runPromise(job.run, { signal: dying.signal }).catch(() => "died")
      await taken.arrive()
      hangs = false
      await runJob(beside, job)
      expect(seen).toEqual([])
      dying.abort()
      expect(await died).toBe("died")
      await settled(job, () => expect(seen.map(orderOfEvent)).toEqual([orderId]), beside)
    })

    test("a relay that dies between its commit and Redis: the events are handled all the same", async () => {
      const { job, seen } = await collector("patient")
      const orderId = await paidOrder()
      const dying = (outboxRelay.run as Effect.Effect<number, unknown>).pipe(
        Effect.provideService(FailpointListener, () => {
          throw new Error("the power is gone")
        })
      )
      await expect(shop.servers[0].runtime.runPromise(dying)).rejects.toThrow("the power is gone")
      await settled(job, () => expect(seen.map(orderOfEvent)).toEqual([orderId]))
    })

    test("published events are handled after Redis loses everything", async () => {
      const { job, seen } = await collector("robust")
      const before = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      await redis.client.flushall()
      const after = await paidOrder()
      await settled(job, () => expect(seen.map(orderOfEvent)).toEqual([before, after]), beside)
    })

    test("lost events are handled after Redis restores an old state", async () => {
      const { job, seen } = await collector("steady")
      const dump = await redis.client.dumpBuffer(key)
      const forgotten = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      await redis.client.restore(key, 0, dump, "REPLACE")
      await settled(job, () => expect(seen.map(orderOfEvent)).toEqual([forgotten]))
    })

    test("an announcement makes a consumer look at once, and without one it leaves the database alone", async () => {
      const { job, seen } = await collector("idle")
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      expect(await runJob(shop.servers[0], job)).toBeGreaterThan(0)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
      await drain(shop.servers[0], job)
      await shop.sql.query(
        "UPDATE worker_turns SET last_round_at = '2001-01-01' WHERE worker = 'events for idle'"
      )
      await runJob(shop.servers[0], job)
      const [rows] = await shop.sql.query(
        "SELECT YEAR(last_round_at) AS year FROM worker_turns WHERE worker = 'events for idle'"
      )
      expect(rows).toEqual([{ year: 2001 }])
    })

    test.each<readonly [string, () => Promise<unknown>]>([
      ["is a text", () => redis.client.set(key, "x")],
      [
        "has used up its ids",
        () => redis.client.xadd(key, "18446744073709551615-18446744073709551615", "event", "1")
      ],
      [
        "was lost, and its next ids are lower",
        async () => {
          await redis.client.xadd(key, `${Date.now() + 3_600_000}-0`, "event", "1")
          await drainIdle()
          await redis.client.del(key)
        }
      ]
    ])("a stream that %s announces the next event all the same", async (_what, damage) => {
      const { job, seen } = await collector("announced")
      drainIdle = () => drain(shop.servers[0], job)
      await damage()
      await drain(shop.servers[0], job)
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      expect(await runJob(shop.servers[0], job)).toBeGreaterThan(0)
      expect(seen.map(orderOfEvent)).toEqual([orderId])
      expect(await redis.client.type(key)).toBe("stream")
    })
    let drainIdle: () => Promise<unknown>

    test("an entry of any size costs a consumer 20 characters, and the stream stays short", async () => {
      const ask = (seen: string) => shop.servers[0].runtime.runPromise(announcedAfter(seen))
      const { last } = await ask("")
      for (let n = 0; n < 3_000; n++) redis.client.xadd(key, "*", "event", "1".repeat(n)).catch(() => {})
      await redis.client.xadd(key, "*", "event", "1".repeat(4_000_000))
      const { numbers } = await ask(last)
      expect(numbers).toHaveLength(100)
      expect(Math.max(...numbers.map((number) => number.length))).toBe(20)
      await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      expect(await redis.client.xlen(key)).toBeLessThan(1_200)
    })

    test("announced numbers that the database does not have are counted", async () => {
      const { job } = await collector("counting")
      for (const number of ["900000001", "x", "-1"]) await redis.client.xadd(key, "*", "event", number)
      await redis.client.xadd(key, "*", "topic", "order.paid")
      const registry: typeof Metric.MetricRegistry.Service = new Map()
      await shop.servers[0].runtime.runPromise(
        Effect.provideService(job.run, Metric.MetricRegistry, registry)
      )
      const metrics = Effect.runSync(Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry))
      expect(metrics.find(({ id }) => id === "holdfast_outbox_unknown_numbers_total")).toMatchObject({
        attributes: { consumer: "counting" },
        state: { count: 4 }
      })
    })
  })

  describe("the retention", () => {
    let trimming: RunningServer
    beforeAll(async () => {
      trimming = await shop.openBeside({ retentionMs: 1 })
    })
    const trim = async (sinceLastRound = "31 SECOND") => {
      await shop.sql.query(
        `UPDATE worker_turns SET last_round_at = UTC_TIMESTAMP(3) - INTERVAL ${sinceLastRound} WHERE worker = 'outbox trimmer'`
      )
      await runJob(trimming, outboxTrimmer)
      return published()
    }
    const consumer = (group: string, handle: () => Effect.Effect<void, Error> = () => Effect.void) =>
      consumerOf({ group, topics: ["order.paid"], handle })
    const paidIn = (events: ReadonlyArray<OutboxEvent>) =>
      events.filter(({ topic }) => topic === "order.paid").map(orderOfEvent)

    test("events stay until the slowest consumer has handled them", async () => {
      const [quick, slow] = [consumer("quick"), consumer("slow")]
      await drain(shop.servers[0], quick, slow)
      const orders = [await paidOrder(), await paidOrder()]
      await drain(shop.servers[0], outboxRelay, quick)
      expect(paidIn(await trim())).toEqual(orders)
      await drain(shop.servers[0], slow)
      const [last, ...others] = (await trim()).toReversed()
      expect(last).toBeDefined()
      expect(others).toEqual([])
    })

    test("events that were set aside stay", async () => {
      const fussy = consumer("fussy", () => Effect.fail(new Error("no")))
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay, fussy)
      await paidOrder()
      await drain(shop.servers[0], outboxRelay, consumer("fussy"))
      expect(paidIn(await trim())).toContain(orderId)
      await shop.sql.query("DELETE FROM set_aside")
      expect(paidIn(await trim())).not.toContain(orderId)
    })

    // Guarantees: an event that another transaction holds keeps no other from being deleted.
    test("events that others hold stay until they are free, and the rest is deleted at once", async () => {
      const brief = consumer("brief")
      await drain(shop.servers[0], brief)
      await Promise.all(Array.from({ length: 3 }, paidOrder))
      await drain(shop.servers[0], outboxRelay, brief)
      const [, held, ...others] = await published()
      const holder = await shop.sql.getConnection()
      await holder.query("BEGIN")
      await holder.query("SELECT * FROM outbox WHERE id = ? FOR UPDATE", [held!.eventId])
      try {
        const startedAtMs = performance.now()
        expect(await trim()).toEqual([held, others.at(-1)])
        expect(performance.now() - startedAtMs).toBeLessThan(2_000)
      } finally {
        await holder.query("ROLLBACK")
        holder.release()
      }
      expect(await trim()).toEqual([others.at(-1)])
    })

    // Guarantees: events whose leader dies wait for the next run of another process, not for its next unasked look.
    test("a consumer that another process keeps from its lease looks again in its next run", async () => {
      const patient = consumer("patient")
      await drain(shop.servers[0], patient)
      const orderId = await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      const leader = await shop.sql.getConnection()
      await leader.query("BEGIN")
      await leader.query("SELECT * FROM worker_turns WHERE worker = 'events for patient' FOR UPDATE")
      try {
        expect(await runJob(shop.servers[0], patient)).toBe(0)
      } finally {
        await leader.query("ROLLBACK")
        leader.release()
      }
      const startedAtMs = performance.now()
      expect(await runJob(shop.servers[0], patient)).toBeGreaterThan(0)
      expect(performance.now() - startedAtMs).toBeLessThan(2_000)
      expect(orderId).toBeDefined()
    })

    test("a consumer that is out of use holds nothing back, and a deployment that was down retires nobody", async () => {
      const [used, unused] = [consumer("used"), consumer("unused")]
      await drain(shop.servers[0], used, unused)
      const orderId = await paidOrder()
      await paidOrder()
      await drain(shop.servers[0], outboxRelay, used)
      await shop.sql.query(
        "UPDATE worker_turns SET last_round_at = UTC_TIMESTAMP(3) - INTERVAL 2 DAY WHERE worker = 'events for unused'"
      )
      expect(paidIn(await trim("2 DAY"))).toContain(orderId)
      expect(paidIn(await trim())).not.toContain(orderId)
    })

    test("the next event follows the last one after everything was deleted", async () => {
      const alone = consumer("alone")
      await paidOrder()
      await drain(shop.servers[0], outboxRelay, alone)
      await shop.sql.query("DELETE FROM outbox")
      await paidOrder()
      await drain(shop.servers[0], outboxRelay)
      expect(await runJob(shop.servers[0], alone)).toBeGreaterThan(0)
    })
  })
})
