import { contract } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { killServerAt } from "../test/dying-server.ts"
import type { RawClient } from "../test/raw-client.ts"
import { answeredSoon } from "../test/soon.ts"
import type { Shop, TestUser } from "../test/shop.ts"
import { useShop } from "../test/use-shop.ts"

/** The steps at which a process is killed; the last one is after the commit. */
const steps = {
  order: ["order: stock reserved", "order: rows inserted", "answer stored", "orders.create: committed"],
  payment: [
    "payment: points debited",
    "payment: payment inserted",
    "payment: order paid",
    "payment: event written",
    "answer stored",
    "payments.process: committed"
  ],
  cancellation: [
    "cancel: order cancelled",
    "cancel: stock released",
    "cancel: points refunded",
    "answer stored"
  ]
}

// The request is repeated with its idempotency key at another process.
describe("a process that is killed", () => {
  let shop: Shop
  useShop({}, async (opened) => {
    shop = opened
    await shop.newProduct("tea", 1_000, 100)
  })

  const lines = (quantity: number) => [{ sku: "tea", quantity }]
  /** Sends a request to a server that dies at the step, so it gets no answer. */
  const sendToDying = (step: string, send: (client: RawClient) => Promise<unknown>) =>
    killServerAt(step, shop, (client) => expect(send(client)).rejects.toThrow())

  test(
    "at any step of an order: the retry gets the one order, and its stock is taken once",
    { timeout: 180_000 },
    async () => {
      const before = await shop.stockOf("tea")
      await Promise.all(
        steps.order.map(async (step) => {
          const user = await shop.newUser()
          const options = { token: user.token, idempotencyKey: "the-order" }
          await sendToDying(step, (client) => client(contract.orders.create, { lines: lines(2) }, options))
          const order = await answeredSoon(() =>
            shop.ok(contract.orders.create, { lines: lines(2) }, options)
          )
          expect(await shop.ok(contract.orders.create, { lines: lines(2) }, options), step).toEqual(order)
          const { items } = await shop.ok(contract.orders.page, {}, user)
          expect(items, step).toEqual([order])
        })
      )
      expect(await shop.stockOf("tea")).toBe(before - 2 * steps.order.length)
    }
  )

  const orderOf = async (user: TestUser) =>
    (await shop.ok(contract.orders.create, { lines: lines(1) }, user)).id

  test(
    "at any step of a payment: the retry gets the one payment, debited once and published once",
    { timeout: 180_000 },
    async () => {
      await Promise.all(
        steps.payment.map(async (step) => {
          const user = await shop.newUser(1_000)
          const orderId = await orderOf(user)
          const options = { token: user.token, idempotencyKey: "the-payment" }
          await sendToDying(step, (client) => client(contract.payments.process, { orderId }, options))
          const payment = await answeredSoon(() => shop.ok(contract.payments.process, { orderId }, options))
          expect(await shop.ok(contract.payments.process, { orderId }, options), step).toEqual(payment)
          expect(await shop.ok(contract.points.balance, {}, user), step).toEqual({ balance: 900 })
        })
      )
    }
  )

  test(
    "at any step of a cancellation: the retry finds it refunded once and restocked once",
    { timeout: 180_000 },
    async () => {
      const before = await shop.stockOf("tea")
      await Promise.all(
        steps.cancellation.map(async (step) => {
          const user = await shop.newUser(1_000)
          const orderId = await orderOf(user)
          await shop.ok(contract.payments.process, { orderId }, user)
          const options = { token: user.token, idempotencyKey: "the-cancellation" }
          await sendToDying(step, (client) => client(contract.orders.cancel, { orderId }, options))
          const cancelled = await answeredSoon(() => shop.ok(contract.orders.cancel, { orderId }, options))
          expect(cancelled.status).toBe("CANCELLED")
          expect(await shop.ok(contract.orders.cancel, { orderId }, options), step).toEqual(cancelled)
          expect(await shop.ok(contract.points.balance, {}, user), step).toEqual({ balance: 1_000 })
        })
      )
      expect(await shop.stockOf("tea")).toBe(before)
    }
  )
})
