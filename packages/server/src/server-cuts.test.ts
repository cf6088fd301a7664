import { createClient, isHoldfastError } from "@holdfast/client-sdk"
import { randomStream } from "@holdfast/testkit/faults"
import { randomUUID } from "node:crypto"
import { expect, test } from "vitest"
import { type Cut, startCuttingProxy } from "../test/cutting-proxy.ts"
import { Shop } from "../test/shop.ts"

const ORDERS = 200
const AT_ONCE = 8
const FATES: ReadonlyArray<Cut> = ["before", "during", "after", "never", "never"]

test(
  "every call makes exactly one order while connections are cut at random",
  { timeout: 120_000 },
  async () => {
    await using shop = await Shop.open()
    const sku = await shop.newProduct(`CUT-${randomUUID()}`, ORDERS * 2)
    const user = await shop.newUser()
    const seed = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000)
    const next = randomStream(seed, "cuts")
    await using proxy = await startCuttingProxy(
      shop.servers[0].url,
      () => FATES[Math.floor(next() * FATES.length)]!
    )
    const client = createClient({
      url: proxy.url,
      token: user.token,
      timeoutMs: 60_000,
      // On a slow machine many retries are cut while the first request still runs, so only the deadline bounds them.
      retry: { maxAttempts: 1_000, baseDelayMs: 1, maxDelayMs: 10 }
    })

    const buy = async () => {
      const key = randomUUID()
      const quantity = 1
      const answer = await client.safe.orders.create({ lines: [{ sku, quantity }] }, { idempotencyKey: key })
      return { key, answer }
    }
    const bought: Array<Awaited<ReturnType<typeof buy>>> = []
    const buyer = async () => {
      for (let left = ORDERS / AT_ONCE; left > 0; left -= 1) bought.push(await buy())
    }
    await Promise.all(Array.from({ length: AT_ONCE }, buyer))

    const failed = bought.flatMap(({ answer }) => (answer.ok ? [] : [answer.error]))
    expect(
      failed.filter((error) => !isHoldfastError(error)),
      `seed ${seed}`
    ).toEqual([])
    const orders = bought.flatMap(({ answer }) => (answer.ok ? [answer.value] : []))
    expect(new Set(orders.map(({ id }) => id)).size, `seed ${seed}`).toBe(orders.length)
    expect(failed, `seed ${seed}`).toEqual([])

    // Every kind of cut happened, and none of them added or lost an order.
    for (const fate of FATES) expect(proxy.fates.get(fate), `${fate}, seed ${seed}`).toBeGreaterThan(10)
    expect(await shop.stockOf(sku)).toBe(ORDERS)
    const [rows] = await shop.sql.query("SELECT COUNT(*) AS orders FROM orders")
    expect(rows).toMatchObject([{ orders: ORDERS }])

    // Another client gets the same answer by the key.
    const later = createClient({ url: shop.servers[0].url, token: user.token })
    const { answer, key } = bought[0]!
    const again = await later.orders.create({ lines: [{ sku, quantity: 1 }] }, { idempotencyKey: key })
    expect(answer.ok && answer.value).toEqual(again)
    await shop.expectRightBooks()
  }
)
