import { createClient, TicketNotFound } from "@holdfast/client-sdk"
import { expect, test } from "vitest"
import { startCuttingProxy } from "../../../../test/cutting-proxy.ts"
import { Shop } from "../../../../test/shop.ts"

test("tells the client what became of a ticket, over a connection that breaks", async () => {
  await using shop = await Shop.open({ settings: { workers: true } })
  const user = await shop.newUser()
  const keeper = createClient({ url: shop.servers[0].url, token: shop.admin.token })
  const coupon = await keeper.admin.createCoupon({
    name: "First come",
    discount: { kind: "fixed", amountMinor: 100 },
    minimumOrderMinor: 0,
    quantity: 1,
    startsAt: new Date(Date.now() - 1_000).toISOString(),
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
    validDays: 1
  })
  let requests = 0
  await using proxy = await startCuttingProxy(shop.servers[0].url, () => {
    requests += 1
    return requests === 2 ? "after" : "never"
  })
  const client = createClient({
    url: proxy.url,
    token: user.token,
    retry: { baseDelayMs: 1, maxDelayMs: 10 }
  })
  const ticket = await client.coupons.requestIssue({ couponId: coupon.id })
  let last: string | undefined
  for await (const { result } of client.coupons.watchTicket({ ticketId: ticket.id })) last = result.status
  expect(last).toBe("issued")
  expect(proxy.fates.get("after")).toBe(1)

  const nobodys = client.coupons.watchTicket({ ticketId: coupon.id })
  await expect(async () => {
    for await (const { id } of nobodys) expect(id).toBe("none")
  }).rejects.toBeInstanceOf(TicketNotFound)
})
