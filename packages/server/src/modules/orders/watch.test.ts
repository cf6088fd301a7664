import { contract } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { subscribe } from "../../../test/subscribe.ts"

describe("watching an order", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  let count = 0
  const placeOrder = async (user: TestUser) => {
    const sku = await shop.newProduct(`WATCHED-${(count += 1)}`, 10)
    return shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
  }
  /** Watches at the other process than the one that calls go to first. */
  const watch = (orderId: string, { token }: TestUser, lastEventId?: string) =>
    subscribe(shop.servers[1]!.url, contract.orders.watch, { orderId }, token, undefined, lastEventId)

  test("tells its state and each step, whichever process took it, and ends with the last one", async () => {
    const user = await shop.newUser(1_000)
    const { id } = await placeOrder(user)
    const watching = watch(id, user)
    expect(await watching.next()).toEqual({
      event: "message",
      id: "PENDING",
      data: { id, status: "PENDING" }
    })
    await shop.ok(contract.payments.process, { orderId: id }, user)
    expect(await watching.next()).toEqual({ event: "message", id: "PAID", data: { id, status: "PAID" } })
    await shop.ok(contract.orders.cancel, { orderId: id }, user)
    expect(await watching.all()).toMatchObject([
      { id: "CANCELLED", data: { id, status: "CANCELLED", cancellation: { reason: "customer" } } },
      { event: "return" }
    ])
  })

  test("goes on behind the event that was seen last, and ends at once when that was the last there is", async () => {
    const user = await shop.newUser(1_000)
    const { id } = await placeOrder(user)
    const before = watch(id, user, "PENDING")
    await shop.ok(contract.payments.process, { orderId: id }, user)
    expect(await before.next()).toMatchObject({ id: "PAID" })
    before.close()
    await shop.ok(contract.orders.cancel, { orderId: id }, user)
    expect(await watch(id, user, "PAID").all()).toMatchObject([{ id: "CANCELLED" }, { event: "return" }])
    expect(await watch(id, user, "CANCELLED").all()).toMatchObject([{ event: "return" }])
    expect(await watch(id, user, "an id of something else").all()).toMatchObject([
      { id: "CANCELLED" },
      { event: "return" }
    ])
  })

  test("is for its owner and for administrators; to anybody else it does not exist", async () => {
    const [ann, bob] = (await shop.newUsers(2)) as [TestUser, TestUser]
    const { id } = await placeOrder(ann)
    const administrating = watch(id, shop.admin)
    expect(await administrating.next()).toMatchObject({ data: { status: "PENDING" } })
    administrating.close()
    const notFound = {
      event: "serialized-error",
      data: { data: { domain: { _tag: "OrderNotFound", orderId: id } } }
    }
    expect(await watch(id, bob).all()).toMatchObject([notFound])
    const nothing = "01890000-0000-7000-8000-000000000000"
    expect(await watch(nothing, bob).all()).toMatchObject([
      { data: { data: { domain: { _tag: "OrderNotFound" } } } }
    ])
    const anonymous = subscribe(shop.servers[0].url, contract.orders.watch, { orderId: id })
    expect(await anonymous.all()).toMatchObject([{ data: { data: { domain: { _tag: "Unauthenticated" } } } }])
  })
})

test("an order that nobody pays is told to be cancelled when a worker has done it", async () => {
  const orders = { maximumLines: 10, maximumQuantity: 10, expiresAfterMs: 2_000 }
  await using shop = await Shop.open({ servers: 2, settings: { workers: true, orders } })
  const user = await shop.newUser()
  const sku = await shop.newProduct("FORGOTTEN", 1)
  const { id } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
  const states = subscribe(shop.servers[1]!.url, contract.orders.watch, { orderId: id }, user.token)
  const stocks = subscribe(shop.servers[1]!.url, contract.products.watchStock, { sku })
  expect(await stocks.next()).toMatchObject({ data: { stock: 0 } })
  expect(await states.all()).toMatchObject([
    { data: { status: "PENDING" } },
    { data: { status: "CANCELLED", cancellation: { reason: "expired" } } },
    { event: "return" }
  ])
  expect(await stocks.next()).toMatchObject({ data: { stock: 1 } })
  stocks.close()
})
