import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Redacted } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runJob } from "../test/jobs.ts"
import { type PrivateRedis, startPrivateRedis } from "../test/private-redis.ts"
import { Shop, testSettings, type TestUser } from "../test/shop.ts"
import { cacheInvalidator } from "./cache-invalidation.ts"
import { rankingProjector } from "./modules/ranking/projector.ts"
import { webhookJobs } from "./modules/webhooks/jobs.ts"
import { outboxRelay } from "./platform/outbox/relay.ts"

/** Whoever can write to Redis may delay the delivery of an event; these tests are that somebody. */
describe("a Redis that lies about events", () => {
  let redis: PrivateRedis
  let shop: Shop
  let user: TestUser
  let stream: string
  const webhook = {
    url: "http://127.0.0.1:9/never-called",
    secret: Redacted.make("a secret of the tests"),
    formerSecrets: [],
    timeoutMs: 1_000,
    firstRetryMs: 1_000,
    maximumAttempts: 3
  }
  const [intake] = webhookJobs(testSettings("mysql://unused", "redis://unused", { webhook }))
  const jobs = [outboxRelay, intake!, rankingProjector, cacheInvalidator]

  beforeAll(async () => {
    redis = await startPrivateRedis()
    shop = await Shop.open({ redisUrl: redis.url, settings: { webhook } })
    await shop.newProduct("tea", 100_000, 10)
    user = await shop.newUser(1_000_000)
    const [row] = (await shop.sql.query("SELECT LOWER(HEX(RIGHT(id, 8))) AS name FROM installation"))[0] as [
      { name: string }
    ]
    stream = `holdfast:{${row.name}}:events`
    await settle()
  })
  afterAll(async () => {
    await shop.stop()
    await redis.stop()
  })

  let ordered = 0
  const order = async () =>
    (await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: ++ordered }] }, user)).id
  const pay = async () => {
    const orderId = await order()
    await shop.ok(contract.payments.process, { orderId }, user)
    return orderId
  }
  /** One run of every job. A run that fails is repeated by the runner, so here as well. */
  const settle = async () => {
    for (const job of jobs) await runJob(shop.servers[0], job).catch(() => 0)
  }
  const rowsOf = async (sql: string, ...values: ReadonlyArray<unknown>) =>
    (await shop.sql.query(sql, [...values]))[0] as Array<Record<string, unknown>>
  const delivered = async (): Promise<ReadonlyArray<string>> =>
    (await rowsOf("SELECT body FROM webhook_deliveries ORDER BY id")).map(
      ({ body }) => (JSON.parse(String(body)) as { orderId: string }).orderId
    )
  const nextNumber = async () =>
    Number((await rowsOf("SELECT COALESCE(MAX(id), 0) + 1 AS next FROM outbox"))[0]!["next"])
  /** Rounds until the order has its delivery, and every consumer has handled every event. */
  const expectDelivered = async (...orderIds: ReadonlyArray<string>) => {
    await eventually(
      async () => {
        await settle()
        const bodies = await delivered()
        for (const orderId of orderIds) expect(bodies.filter((id) => id === orderId)).toHaveLength(1)
      },
      { timeoutMs: 15_000 }
    )
    await shop.expectRightBooks()
  }

  test("an unpaid order that is announced as paid is not delivered", async () => {
    const unpaid = await order()
    const forged = { orderId: unpaid, userId: user.id, paymentId: unpaid, amountMinor: 1 }
    const number = String((await nextNumber()) + 1_000)
    await redis.client.xadd(
      stream,
      "*",
      "topic",
      "order.paid",
      "event",
      number,
      "payload",
      JSON.stringify(forged)
    )
    const paid = await pay()
    await expectDelivered(paid)
    expect(await delivered()).not.toContain(unpaid)
  })

  test("an event of another topic is not delivered as a payment, whatever its announcement says", async () => {
    const unpaid = await order()
    const [created] = await rowsOf(
      "SELECT id FROM outbox WHERE topic = 'order.created' ORDER BY id DESC LIMIT 1"
    )
    const payload = JSON.stringify({ orderId: unpaid, userId: user.id, paymentId: unpaid, amountMinor: 1 })
    await redis.client.xadd(
      stream,
      "*",
      "topic",
      "order.paid",
      "event",
      String(created!["id"]),
      "payload",
      payload
    )
    await expectDelivered(await pay())
    expect(await delivered()).not.toContain(unpaid)
  })

  test("numbers that were taken in advance do not make real payments vanish", async () => {
    const next = await nextNumber()
    for (let number = next; number < next + 50; number++)
      await redis.client.xadd(stream, "*", "topic", "order.paid", "event", String(number), "payload", "{}")
    await settle()
    await expectDelivered(await pay(), await pay())
  })

  test("the number of an event that is not committed yet does not make it vanish", async () => {
    const orderId = await order()
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    const [inserted] = await connection.query(
      "INSERT INTO outbox (topic, payload) VALUES ('test.late', '{}')"
    )
    const number = String((inserted as { insertId: number }).insertId)
    await redis.client.xadd(stream, "*", "topic", "order.paid", "event", number, "payload", "{}")
    await settle()
    await connection.query("UPDATE outbox SET topic = 'order.paid', payload = ? WHERE id = ?", [
      JSON.stringify({ orderId, userId: user.id, paymentId: orderId, amountMinor: 1 }),
      number
    ])
    await connection.commit()
    connection.release()
    await eventually(
      async () => {
        await settle()
        expect(await delivered()).toContain(orderId)
      },
      { timeoutMs: 15_000 }
    )
    await shop.sql.query("DELETE FROM webhook_deliveries WHERE event_id = ?", [number])
    await shop.sql.query("DELETE FROM outbox WHERE id = ?", [number])
  })

  const longText = "x".repeat(4_000_000)
  test.each<readonly [string, ReadonlyArray<string>]>([
    ["no known field", ["a", "b"]],
    ["a payload that is cut off", ["topic", "order.paid", "event", "900001", "payload", "{"]],
    ["a payload that is null", ["topic", "order.paid", "event", "900002", "payload", "null"]],
    ["a payload without an order", ["topic", "order.paid", "event", "900003", "payload", "{}"]],
    ["no number", ["topic", "order.paid", "payload", "{}"]],
    ["a number that is none", ["topic", "order.paid", "event", "NaN", "payload", "{}"]],
    ["an empty number", ["topic", "order.paid", "event", "", "payload", "{}"]],
    ["a negative number", ["topic", "order.paid", "event", "-1", "payload", "{}"]],
    ["a fraction", ["topic", "order.paid", "event", "1.5", "payload", "{}"]],
    ["a number in hexadecimal", ["topic", "order.paid", "event", "0x1", "payload", "{}"]],
    ["a number beyond 2^53", ["topic", "order.paid", "event", "9007199254740993", "payload", "{}"]],
    ["a number beyond a BIGINT", ["topic", "order.paid", "event", "9".repeat(40), "payload", "{}"]],
    ["a number of 4 MB", ["topic", "order.paid", "event", longText, "payload", "{}"]],
    ["a payload of 4 MB", ["topic", "order.paid", "event", "900004", "payload", `{"orderId":"${longText}"}`]],
    ["SQL", ["topic", "order.paid' OR 1=1 --", "event", "1 OR 1=1", "payload", "{}"]]
  ])("an entry with %s blocks no consumer", async (_what, fields) => {
    await redis.client.xadd(stream, "*", ...fields)
    await redis.client.xadd(stream, "*", ...fields)
    await expectDelivered(await pay())
  })

  test.each<readonly [string, () => Promise<unknown>]>([
    ["is deleted", () => redis.client.del(stream)],
    ["is trimmed", () => redis.client.xtrim(stream, "MAXLEN", "=", 0)],
    ["is lost with everything else", () => redis.client.flushall()],
    ["is replaced by a text", () => redis.client.set(stream, "x")],
    [
      "has used up its last id",
      () => redis.client.xadd(stream, "18446744073709551615-18446744073709551615", "event", "1")
    ],
    [
      "is read and confirmed by somebody in the consumers' names",
      async () => {
        for (const group of ["webhooks", "ranking", "cache"]) {
          await redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM").catch(() => {})
          await redis.client.xgroup("SETID", stream, group, "$")
        }
      }
    ]
  ])("an event that is published when the stream %s is delivered", async (_what, damage) => {
    const before = await pay()
    await runJob(shop.servers[0], outboxRelay).catch(() => 0)
    await damage()
    await expectDelivered(before, await pay())
  })

  test("an event is delivered while the stream is taken away again and again", async () => {
    const orders: Array<string> = []
    for (let n = 0; n < 5; n++) {
      orders.push(await pay())
      await runJob(shop.servers[0], outboxRelay).catch(() => 0)
      await redis.client.del(stream)
      await redis.client.set(stream, "x")
    }
    await redis.client.del(stream)
    await expectDelivered(...orders)
  })

  // The whole way, with the jobs of a server: from the payment to the receiver, beside somebody who forges all the time.
  test("a receiver gets every paid order once, and no other, while somebody forges announcements", async () => {
    const received: Array<string> = []
    const receiver = createServer((request, response) => {
      request.setEncoding("utf8")
      let body = ""
      request.on("data", (chunk: string) => (body += chunk))
      request.on("end", () => {
        received.push((JSON.parse(body) as { orderId: string }).orderId)
        response.end()
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
    const { port } = receiver.address() as AddressInfo
    const selling = { isOver: false }
    const unpaid = await order()
    const forging = (async () => {
      const payload = JSON.stringify({ orderId: unpaid, userId: user.id, paymentId: unpaid, amountMinor: 1 })
      for (let ahead = 0; !selling.isOver; ahead = (ahead + 1) % 50) {
        const number = String((await nextNumber()) + ahead)
        await redis.client.xadd(stream, "*", "topic", "order.paid", "event", number, "payload", payload)
        if (ahead === 49) await redis.client.del(stream)
      }
    })()
    const server = await shop.openBeside({
      workers: true,
      webhook: { ...webhook, url: `http://127.0.0.1:${port}/`, timeoutMs: 20_000 }
    })
    try {
      const orders: Array<string> = []
      for (let n = 0; n < 20; n++) orders.push(await pay())
      await eventually(
        () => {
          for (const orderId of orders) expect(received.filter((id) => id === orderId)).toHaveLength(1)
        },
        { timeoutMs: 20_000 }
      )
      expect(received).not.toContain(unpaid)
    } finally {
      selling.isOver = true
      await forging
      await server.stop()
      receiver.closeAllConnections()
      await new Promise((resolve) => receiver.close(resolve))
    }
    await shop.expectRightBooks()
  })

  test("a payment is delivered while Redis is away", async () => {
    await redis.service.kill()
    try {
      const paid = await pay()
      expect(await runJob(shop.servers[0], outboxRelay)).toBeGreaterThan(0)
      await eventually(
        async () => {
          await settle()
          expect(await delivered()).toContain(paid)
        },
        { timeoutMs: 15_000 }
      )
    } finally {
      await redis.service.restart()
    }
    await eventually(() => redis.client.ping(), { timeoutMs: 10_000 })
    await expectDelivered(await pay())
  })
})
