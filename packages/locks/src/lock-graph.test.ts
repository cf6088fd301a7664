import { defineLockOrder, lockScope } from "@holdfast/domain/locks"
import { createTest } from "@holdfast/testkit/vitest"
import { expect } from "vitest"
import { createLocks } from "./promise-client.ts"

const test = createTest({ sql: false })

const subject = (id: number) => String(id)
const order = defineLockOrder([
  lockScope({ name: "cart", prefix: "cart:", subject, mode: "pessimistic", leaseMs: 10_000 }),
  lockScope({ name: "invoice", prefix: "invoice:", subject, mode: "pessimistic", leaseMs: 10_000 })
])

// Guarantees: clients that hold several locks take them in one order, as Redis sees it.
test("takes the lock of a cart before that of its invoice", async ({ locks }) => {
  for (const cart of [1, 2]) {
    await using client = createLocks(order, { redis: { url: locks.client().redis } })
    await client.run(order.scopes.cart, cart, () =>
      client.run(order.scopes.invoice, 1, async () => undefined)
    )
  }
  locks.expectOneOrder()
  expect(locks.graph.orders).toHaveLength(2)
})
