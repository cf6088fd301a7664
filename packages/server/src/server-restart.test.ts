import { createClient } from "@holdfast/client-sdk"
import { crashAt } from "@holdfast/testkit/race"
import { describe, expect, test } from "vitest"
import { crashingServer } from "../test/dying-server.ts"
import { freePort } from "../test/free-port.ts"
import { issuedOf, newCoupon } from "../test/sale.ts"
import type { Shop } from "../test/shop.ts"
import { useShop } from "../test/use-shop.ts"

/** A restart takes seconds, on a busy machine many, so the client retries for the whole deadline of the call. */
const patience = { maxAttempts: 10_000, baseDelayMs: 100, maxDelayMs: 500 }

describe("a client whose server is killed during its call and restarted", () => {
  let shop: Shop
  useShop({}, async (opened) => {
    shop = opened
    await shop.newProduct("tea", 1_000, 100)
  })

  /** Runs `use` with a client whose server dies at the step and is restarted at the same address. */
  const withRestart = async <A>(
    step: string,
    token: string,
    use: (client: ReturnType<typeof createClient>) => Promise<A>
  ): Promise<A> => {
    await using first = crashAt(step, crashingServer(shop, { port: await freePort() }))
    const [, url] = await first.output(/serving on (\S+) /)
    const answer = use(createClient({ url: url!, token, timeoutMs: 90_000, retry: patience }))
    await using second = await first.again()
    await second.output(/serving on (\S+) /)
    return await answer
  }

  test.each(["order: rows inserted", "orders.create: committed"])(
    "at '%s': its call ends with the one order",
    { timeout: 120_000 },
    async (step) => {
      const user = await shop.newUser()
      const order = await withRestart(step, user.token, (client) =>
        client.orders.create({ lines: [{ sku: "tea", quantity: 2 }] })
      )
      const client = createClient({ url: shop.servers[0].url, token: user.token })
      expect((await client.orders.page({})).items).toEqual([order])
    }
  )

  test.each(["issue: counted", "coupons.issue: committed"])(
    "at '%s': its call ends with the one coupon",
    { timeout: 120_000 },
    async (step) => {
      const user = await shop.newUser()
      const { id: couponId } = await newCoupon(shop, { quantity: 3 })
      const coupon = await withRestart(step, user.token, (client) => client.coupons.issue({ couponId }))
      expect(coupon.userId).toBe(user.id)
      expect(await issuedOf(shop, couponId)).toBe(1)
    }
  )
})
