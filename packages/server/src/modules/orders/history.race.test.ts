import { contract } from "@holdfast/domain"
import { expectExactly, race, type Services, startServices } from "@holdfast/testkit"
import { evidence } from "@holdfast/testkit/evidence"
import { randomStream } from "@holdfast/testkit/faults"
import { CheckedHistory, stockCounter } from "@holdfast/testkit/history"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Refused, Shop, type TestUser } from "../../../test/shop.ts"

const BUYERS = 16
const ACTIONS = 12
const STOCK = 20

/** A run is repeated by its seed, as far as the network lets it. */
const seed = process.env["HOLDFAST_SEED"] ?? String(Date.now() % 1_000_000)

describe(`orders, cancellations and looks at one product (seed ${seed})`, () => {
  let services: Services
  let shop: Shop
  beforeAll(async () => {
    // Servers of its own, so that their counters speak of nobody else.
    services = await startServices()
    shop = await Shop.open({ servers: 2, mysqlUrl: services.sql.url(), redisUrl: services.redis.url() })
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await services.stop()
  })

  // Guarantees: nobody is refused what must have been there, nobody sees a stock that never was, no unit is lost.
  test("have one order in which the stock is right at every step", { timeout: 120_000 }, async () => {
    const users = await shop.newUsers(BUYERS)
    const sku = await shop.newProduct("history", STOCK)
    const stock = new CheckedHistory(stockCounter({ initial: STOCK }), `stock under orders, seed ${seed}`)

    const order = (client: string, user: TestUser, quantity: number) =>
      stock.record(
        client,
        { action: "take", quantity },
        () => shop.ok(contract.orders.create, { lines: [{ sku, quantity }] }, user),
        { output: () => true, onError: (error) => (isOutOfStock(error) ? { output: false } : "unknown") }
      )
    const cancel = (client: string, user: TestUser, orderId: string, quantity: number) =>
      stock.record(
        client,
        { action: "give", quantity },
        () => shop.ok(contract.orders.cancel, { orderId }, user),
        { output: () => true }
      )
    const look = (client: string) => stock.record(client, { action: "read" }, () => shop.stockOf(sku))

    const shopping = async (caller: number) => {
      const [client, user] = [`buyer ${caller}`, users[caller]!]
      const random = randomStream(seed, client)
      const placed: Array<{ readonly id: string; readonly quantity: number }> = []
      for (let action = 0; action < ACTIONS; action += 1) {
        const choice = random()
        const quantity = 1 + Math.floor(random() * 3)
        const last = choice < 0.35 ? placed.pop() : undefined
        if (last !== undefined) await cancel(client, user, last.id, last.quantity)
        else if (choice > 0.8) await look(client)
        else {
          const made = await order(client, user, quantity).catch(unlessOutOfStock)
          if (made !== undefined) placed.push({ id: made.id, quantity })
        }
      }
      return placed.reduce((sum, { quantity }) => sum + quantity, 0)
    }

    const found = await evidence(services).around(() => race(BUYERS, shopping))
    const kept = expectExactly(found.value, BUYERS).reduce(
      (sum, outcome) => sum + (outcome.status === "fulfilled" ? outcome.value : 0),
      0
    )
    expect(await look("auditor")).toBe(STOCK - kept)
    const { orders } = stock.expectLinearizable()

    // It was a race for the last units, and it was held on these very servers.
    const outcomes = (orders.get("") ?? []).map(({ input, outcome }) => ({ action: input.action, outcome }))
    const refused = outcomes.filter(
      ({ outcome }) => outcome.status === "returned" && outcome.output === false
    )
    expect(refused.length).toBeGreaterThan(0)
    expect(outcomes.filter(({ action }) => action === "give").length).toBeGreaterThan(0)
    found.toShow({ sql: { commit: { atLeast: BUYERS } }, redis: { evalsha: { atLeast: BUYERS } } })
  })
})

const isOutOfStock = (error: unknown): boolean => error instanceof Refused && error._tag === "OutOfStock"

const unlessOutOfStock = (error: unknown): undefined => {
  if (!isOutOfStock(error)) throw error
}
