import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { couponInput } from "../test/sale.ts"
import { ServerProcess } from "../test/processes/server-process.ts"
import { makeRawClient, type RawClient } from "../test/raw-client.ts"
import { Shop } from "../test/shop.ts"

const MINUTE_MS = 60_000

describe.each([
  ["ahead", 11 * MINUTE_MS],
  ["behind", -11 * MINUTE_MS]
])("a second process whose clock is 11 minutes %s", (_direction, shiftMs) => {
  let shop: Shop
  let other: RawClient
  const shifted = new ServerProcess(shiftMs)
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2, process: shifted, settings: { accessTokenMs: 10 * MINUTE_MS } })
    await shop.newProduct("tea", 100, 10)
    other = makeRawClient(shop.servers[1]!.url)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    shifted.kill()
  })

  /** Moves the deadline of an order, by the database's clock. */
  const expiresIn = (orderId: string, seconds: number) =>
    shop.sql.query(
      "UPDATE orders SET expires_at = UTC_TIMESTAMP(3) + INTERVAL ? SECOND WHERE id = UNHEX(?)",
      [seconds, orderId.replaceAll("-", "")]
    )
  const here: RawClient = (procedure, input, options) =>
    makeRawClient(shop.servers[0].url)(procedure, input, options)
  const order = async (client: RawClient, token: string) => {
    const answer = await client(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, { token })
    if (!answer.ok) throw new Error(answer.body)
    return answer.value
  }
  const secondsFromNow = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString()
  const campaign = async (startsIn: number, endsIn: number) => {
    const input = couponInput({ startsAt: secondsFromNow(startsIn), endsAt: secondsFromNow(endsIn) })
    return (await shop.ok(contract.admin.createCoupon, input, shop.admin)).id
  }

  // Guarantees: an order expires by the database's clock, whichever process made it and whichever looks.
  test("cancels no order early, and an overdue one", async () => {
    const { token } = await shop.newUser()
    const orders = [await order(here, token), await order(other, token)]
    for (const { createdAt, expiresAt } of orders) {
      expect(Math.abs(new Date(createdAt).getTime() - Date.now())).toBeLessThan(MINUTE_MS)
      expect(new Date(expiresAt).getTime() - new Date(createdAt).getTime()).toBe(10 * MINUTE_MS)
    }
    expect(await shop.servers[1]!.runJob("order expiry")).toBe(0)
    await expiresIn(orders[0]!.id, -1)
    expect(await shop.servers[1]!.runJob("order expiry")).toBe(1)
  })

  // Guarantees: whether an order can be paid does not depend on the process that is asked.
  test("takes a payment in time, and none after it", async () => {
    const user = await shop.newUser(100)
    const [inTime, late] = [await order(here, user.token), await order(here, user.token)]
    expect(await other(contract.payments.process, { orderId: inTime.id }, user)).toMatchObject({ ok: true })
    await expiresIn(late.id, -1)
    expect(await other(contract.payments.process, { orderId: late.id }, user)).toMatchObject({
      tag: "OrderExpired"
    })
  })

  // Guarantees: a paid order can be cancelled for the same time everywhere.
  test("cancels a paid order within its period only", async () => {
    const user = await shop.newUser(100)
    const { id: orderId } = await order(here, user.token)
    await here(contract.payments.process, { orderId }, user)
    const paidAgo = (minutes: number) =>
      shop.sql.query(
        "UPDATE payments SET created_at = UTC_TIMESTAMP(3) - INTERVAL ? MINUTE WHERE order_id = UNHEX(?)",
        [minutes, orderId.replaceAll("-", "")]
      )
    await paidAgo(65)
    expect(await other(contract.orders.cancel, { orderId }, user)).toMatchObject({
      tag: "CancellationPeriodOver"
    })
    await paidAgo(55)
    expect(await other(contract.orders.cancel, { orderId }, user)).toMatchObject({ ok: true })
  })

  // Guarantees: a campaign opens and closes at one moment, for tickets and for those who ask at once.
  test("issues nothing before a campaign starts or after it ended, and everything between", async () => {
    const user = await shop.newUser()
    const [early, over, open] = [
      await campaign(300, 900),
      await campaign(-900, -300),
      await campaign(-300, 300)
    ]
    for (const procedure of [contract.coupons.issue, contract.coupons.requestIssue]) {
      expect(await other(procedure, { couponId: early }, user)).toMatchObject({ tag: "CouponNotStarted" })
      expect(await other(procedure, { couponId: over }, user)).toMatchObject({ tag: "CouponEnded" })
    }
    expect(await other(contract.coupons.requestIssue, { couponId: open }, user)).toMatchObject({ ok: true })
    expect(await shop.servers[1]!.runJob("coupon tickets")).toBe(1)
    expect((await shop.ok(contract.coupons.byId, { couponId: open })).issued).toBe(1)
    const page = await other(contract.coupons.page, { limit: 100 })
    if (!page.ok) throw new Error(page.body)
    expect(new Set(page.value.items.map(({ id }) => id))).toEqual(new Set([early, open]))
  })

  // Guarantees: a token is as long valid at one process as at the other.
  test("accepts tokens of the other process, and the other process its tokens", async () => {
    const { email, token } = await shop.newUser()
    expect(await other(contract.auth.me, {}, { token })).toMatchObject({ ok: true })
    const session = await other(contract.auth.login, { email, password: "a password" })
    if (!session.ok) throw new Error(session.body)
    expect(await here(contract.auth.me, {}, { token: session.value.accessToken })).toMatchObject({ ok: true })
    const lifetimeMs = new Date(session.value.accessExpiresAt).getTime() - Date.now()
    expect(Math.abs(lifetimeMs - 10 * MINUTE_MS)).toBeLessThan(MINUTE_MS)
  })

  test("stamps what it creates with the database's time", async () => {
    const created = await Promise.all([
      other(contract.auth.register, { email: "ann@shop.test", password: "a password" }),
      other(
        contract.admin.createProduct,
        { sku: "cup", name: "cup", priceMinor: 1, initialStock: 1 },
        shop.admin
      ),
      other(contract.admin.createCoupon, couponInput(), shop.admin)
    ])
    for (const answer of created) {
      if (!answer.ok) throw new Error(answer.body)
      expect(Math.abs(new Date(answer.value.createdAt).getTime() - Date.now())).toBeLessThan(MINUTE_MS)
    }
  })

  test("says so in its health check, which the right one does not", async () => {
    const health = async (server: number) => (await fetch(`${shop.servers[server]!.url}/readyz`)).json()
    expect(await health(0)).toEqual({ status: "ready", database: "up", redis: "up" })
    await eventually(async () => {
      const { clockAheadMs, ...rest } = (await health(1)) as { clockAheadMs: number }
      expect(rest).toEqual({ status: "ready", database: "up", redis: "up" })
      expect(Math.abs(clockAheadMs - shiftMs)).toBeLessThan(5_000)
    })
  })
})
