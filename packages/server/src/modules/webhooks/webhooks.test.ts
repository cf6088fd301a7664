import { webhooks } from "@holdfast/client-sdk"
import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Redacted } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { drain, runJob } from "../../../test/jobs.ts"
import { Shop, testSettings, type TestUser } from "../../../test/shop.ts"
import { outboxRelay } from "../../platform/outbox/relay.ts"
import { sign } from "./signature.ts"
import { webhookJobs } from "./jobs.ts"

const SECRET = "a secret of the tests"
const FORMER_SECRET = "a secret that is being exchanged"

/** How long the receiver may take: on a busy machine an answer has its time, unless the test is about that. */
const PATIENT_MS = 20_000
const IMPATIENT_MS = 300

interface Received {
  readonly body: string
  readonly signature: string
  readonly eventId: string
}

/** A receiver that answers as the test says. */
class Receiver {
  readonly received: Array<Received> = []
  answer: (response: ServerResponse, nth: number) => void = (response) => void response.end()
  private readonly server = createServer((request, response) => void this.take(request, response))

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve))
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook`
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    this.received.push({
      body: Buffer.concat(chunks).toString(),
      signature: String(request.headers["holdfast-signature"]),
      eventId: String(request.headers["holdfast-event"])
    })
    this.answer(response, this.received.length)
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

describe("the webhook of paid orders", () => {
  const receiver = new Receiver()
  let url: string
  let shop: Shop
  let user: TestUser
  beforeAll(async () => {
    url = await receiver.start()
    shop = await Shop.open({ servers: 2, settings: webhookTo(url) })
    await shop.newProduct("tea", 100_000, 10)
    user = await shop.newUser(1_000_000)
  })
  afterEach(() => {
    hangsUpSoon = false
    receiver.received.length = 0
    receiver.answer = (response) => void response.end()
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await receiver.stop()
  })

  const pay = async () => {
    const order = await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, user)
    return shop.ok(contract.payments.process, { orderId: order.id }, user)
  }
  const settle = async () => {
    for (const server of hangsUpSoon ? [shop.servers[0]] : shop.servers) {
      const [intake, sender] = workers()
      await drain(server, outboxRelay, intake!, sender!)
    }
  }
  /** A server in another process keeps the settings that it was started with: it has no part in such a test. */
  let hangsUpSoon = false
  const webhookTo = (receiverUrl: string, timeoutMs = PATIENT_MS) => ({
    webhook: {
      url: receiverUrl,
      secret: Redacted.make(SECRET),
      formerSecrets: [Redacted.make(FORMER_SECRET)],
      timeoutMs,
      firstRetryMs: 20,
      maximumAttempts: 3
    }
  })
  const workers = () =>
    webhookJobs(
      testSettings(
        "mysql://unused",
        "redis://unused",
        webhookTo(url, hangsUpSoon ? IMPATIENT_MS : PATIENT_MS)
      )
    )
  /** Rounds until the deliveries of all orders have ended one way or the other. */
  const untilEnded = () =>
    eventually(
      async () => {
        await settle()
        const [rows] = await shop.sql.query(
          "SELECT COUNT(*) AS n FROM webhook_deliveries WHERE status = 'pending'"
        )
        expect((rows as Array<{ n: number }>)[0]!.n).toBe(0)
      },
      { timeoutMs: 20_000 }
    )
  const deadLetters = async () => (await shop.ok(contract.admin.deadLetters, {}, shop.admin)).items

  // Guarantees: a dead letter tells no password, whatever the receiver's address holds.
  test("an address that cannot be used is not quoted in the reason", async () => {
    await pay()
    const withCredentials = webhookTo(url.replace("http://", "http://ann:hunter2@"))
    const [, sender] = webhookJobs(testSettings("mysql://unused", "redis://unused", withCredentials))
    await drain(shop.servers[0], outboxRelay, workers()[0]!, sender!)
    const [rows] = await shop.sql.query("SELECT DISTINCT last_error AS why FROM webhook_deliveries")
    expect(rows).toEqual([{ why: "not reached: the request could not be made" }])
    await shop.sql.query("UPDATE webhook_deliveries SET status = 'delivered'")
  })

  test("a paid order is posted once, signed, with its order and its amount", async () => {
    const payment = await pay()
    await Promise.all([settle(), settle()])
    await untilEnded()
    expect(receiver.received).toHaveLength(1)
    const [{ body, eventId, signature }] = receiver.received as [Received]
    expect(JSON.parse(body)).toMatchObject({
      topic: "order.paid",
      orderId: payment.orderId,
      paymentId: payment.id,
      amountMinor: 10,
      userId: user.id,
      eventId: Number(eventId)
    })
    // While the secret is exchanged, receivers that know either are content.
    for (const secret of [SECRET, FORMER_SECRET])
      expect(await webhooks.constructEvent(body, signature, secret)).toMatchObject({
        orderId: payment.orderId
      })
    const refused = { reason: "mismatch" }
    await expect(webhooks.constructEvent(body, signature, "another secret")).rejects.toMatchObject(refused)
    await expect(webhooks.constructEvent(`${body} `, signature, SECRET)).rejects.toMatchObject(refused)
  })

  test("a receiver that answers 500 gets the same event again, a little later each time", async () => {
    receiver.answer = (response, nth) => void response.writeHead(nth < 3 ? 500 : 204).end()
    await pay()
    await untilEnded()
    expect(receiver.received).toHaveLength(3)
    expect(new Set(receiver.received.map(({ eventId }) => eventId)).size).toBe(1)
    expect(await deadLetters()).toEqual([])
  })

  test("a receiver that always refuses: the event becomes a dead letter, which an administrator sends again", async () => {
    receiver.answer = (response) => void response.writeHead(500).end()
    const payment = await pay()
    await untilEnded()
    expect(receiver.received).toHaveLength(3)
    const [letter] = await deadLetters()
    expect(letter).toMatchObject({ topic: "order.paid", attempts: 3, lastError: "answered 500" })
    expect(JSON.parse(letter!.body)).toMatchObject({ orderId: payment.orderId })
    receiver.answer = (response) => void response.end()
    const { deliveryId } = letter!
    await shop.ok(contract.admin.retryDelivery, { deliveryId }, shop.admin)
    expect(await shop.call(contract.admin.retryDelivery, { deliveryId }, shop.admin)).toMatchObject({
      status: 404,
      tag: "DeadLetterNotFound"
    })
    await untilEnded()
    expect(receiver.received).toHaveLength(4)
    expect(await deadLetters()).toEqual([])
  })

  test("a receiver that hangs is hung up on, and holds up neither payments nor other events", async () => {
    hangsUpSoon = true
    receiver.answer = () => {}
    const payments = await Promise.all([pay(), pay(), pay()])
    expect(payments).toHaveLength(3)
    await untilEnded()
    const letters = await deadLetters()
    expect(letters.map(({ lastError }) => lastError)).toEqual(
      Array(3).fill(`no answer within ${IMPATIENT_MS} ms`)
    )
    for (const { deliveryId } of letters)
      await shop.ok(contract.admin.retryDelivery, { deliveryId }, shop.admin)
    hangsUpSoon = false
    receiver.answer = (response) => void response.end()
    await untilEnded()
  })

  test("a redirect is not followed: events go where they were told to", async () => {
    receiver.answer = (response) => void response.writeHead(307, { location: url }).end()
    await pay()
    await untilEnded()
    expect(receiver.received).toHaveLength(3)
    const [letter] = await deadLetters()
    expect(letter).toMatchObject({ lastError: "answered 307" })
    receiver.answer = (response) => void response.end()
    await shop.ok(contract.admin.retryDelivery, { deliveryId: letter!.deliveryId }, shop.admin)
    await untilEnded()
  })

  test("20 events sent by two processes at once: each is posted once", async () => {
    const users = await shop.newUsers(20, 100)
    await Promise.all(
      users.map(async (buyer) => {
        const order = await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, buyer)
        await shop.ok(contract.payments.process, { orderId: order.id }, buyer)
      })
    )
    await Promise.all([settle(), settle(), settle()])
    await untilEnded()
    expect(receiver.received).toHaveLength(20)
    expect(new Set(receiver.received.map(({ eventId }) => eventId)).size).toBe(20)
  })

  // Guarantees: what a process took and did not report is sent by another one when its time is up.
  test("a delivery whose process died is sent again after its lease", async () => {
    await pay()
    const [intake, sender] = workers()
    await drain(shop.servers[0], outboxRelay, intake!)
    await shop.sql.query(
      "UPDATE webhook_deliveries SET attempts = 1, next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR WHERE status = 'pending'"
    )
    await drain(shop.servers[1]!, sender!)
    expect(receiver.received).toHaveLength(0)
    await shop.sql.query(
      "UPDATE webhook_deliveries SET next_attempt_at = UTC_TIMESTAMP(3) WHERE status = 'pending'"
    )
    await untilEnded()
    expect(receiver.received).toHaveLength(1)
  })

  test("a delivery stays as long as its event, so that an event that is handled again is not sent again", async () => {
    await pay()
    await untilEnded()
    const trimming = await shop.openBeside({ retentionMs: 1 })
    const cleaner = workers()[2]!
    await shop.sql.query("UPDATE webhook_deliveries SET next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR")
    await runJob(trimming, cleaner)
    await shop.sql.query("UPDATE worker_turns SET state = '0' WHERE worker = 'events for webhooks'")
    receiver.received.length = 0
    const handledAgain = async () => {
      await untilEnded()
      const [rows] = await shop.sql.query(
        "SELECT state FROM worker_turns WHERE worker = 'events for webhooks'"
      )
      expect((rows as Array<{ state: string }>)[0]!.state).not.toBe("0")
    }
    await eventually(handledAgain, { timeoutMs: 15_000 })
    expect(receiver.received).toEqual([])
  }, 20_000)

  // Guarantees: a delivery that another transaction holds keeps no other from being deleted.
  test("old deliveries are deleted while a transaction holds one of them, and that one later", async () => {
    const events = [900_001, 900_002, 900_003]
    for (const event of events)
      await shop.sql.query(
        `INSERT INTO webhook_deliveries (event_id, topic, body, status, next_attempt_at)
          VALUES (?, 'order.paid', '{}', 'delivered', UTC_TIMESTAMP(3) - INTERVAL 9 DAY)`,
        [event]
      )
    const left = async () => {
      const [rows] = await shop.sql.query("SELECT event_id FROM webhook_deliveries WHERE event_id > 900000")
      return (rows as Array<{ event_id: number }>).map(({ event_id }) => event_id)
    }
    const cleaner = workers().find(({ name }) => name === "webhook cleaner")!
    const clean = async () => {
      await shop.sql.query("UPDATE worker_turns SET last_round_at = NULL WHERE worker = ?", [cleaner.name])
      await runJob(shop.servers[0], cleaner)
    }
    const holder = await shop.sql.getConnection()
    await holder.query("BEGIN")
    await holder.query("SELECT * FROM webhook_deliveries WHERE event_id = 900002 FOR UPDATE")
    try {
      const startedAtMs = performance.now()
      await clean()
      expect(performance.now() - startedAtMs).toBeLessThan(2_000)
      expect(await left()).toEqual([900_002])
    } finally {
      await holder.query("ROLLBACK")
      holder.release()
    }
    await clean()
    expect(await left()).toEqual([])
  })

  test("only administrators see dead letters", async () => {
    expect(await shop.call(contract.admin.deadLetters, {}, user)).toMatchObject({ tag: "Forbidden" })
    expect(await shop.call(contract.admin.retryDelivery, { deliveryId: 1 }, user)).toMatchObject({
      tag: "Forbidden"
    })
    expect(await shop.call(contract.admin.deadLetters, { cursor: "x" }, shop.admin)).toMatchObject({
      tag: "InvalidInput"
    })
  })
})

describe("the signature", () => {
  const now = Date.UTC(2026, 0, 1)
  const faultOf = (signature: string, at = now) =>
    webhooks.constructEvent("{}", signature, SECRET, { now: at }).then(
      () => undefined,
      ({ reason }) => reason
    )
  test("is what any receiver can compute, and is good for five minutes", async () => {
    const signature = sign([SECRET], "{}", now)
    expect(signature).toMatch(/^t=1767225600,v1=[0-9a-f]{64}$/)
    expect(await faultOf(signature, now + 299_000)).toBe(undefined)
    expect(await faultOf(signature, now + 301_000)).toBe("expired")
    expect(await faultOf(signature, now - 301_000)).toBe("expired")
  })
  test("covers the time: an old delivery cannot be given a new one", async () => {
    const old = sign([SECRET], "{}", now - 3_600_000)
    expect(await faultOf(old.replace(/t=\d+/, `t=${now / 1_000}`))).toBe("mismatch")
  })
})
