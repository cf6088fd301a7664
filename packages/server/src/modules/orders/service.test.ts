import { contract } from "@holdfast/domain"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Shop, type TestUser } from "../../../test/shop.ts"

describe("orders", () => {
  let shop: Shop
  let ann: TestUser
  let bob: TestUser
  beforeAll(async () => {
    shop = await Shop.open({
      settings: { orders: { maximumLines: 3, maximumQuantity: 50, expiresAfterMs: 600_000 } }
    })
    ann = await shop.newUser()
    bob = await shop.newUser()
    await shop.newProduct("tea", 100, 250)
    await shop.newProduct("cup", 100, 1_099)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  const create = (
    lines: ReadonlyArray<{ sku: string; quantity: number }>,
    token = ann.token,
    idempotencyKey?: string
  ) =>
    shop.call(
      contract.orders.create,
      { lines },
      { token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
    )

  test("an order has merged lines at the database's prices, and takes its stock", async () => {
    const before = await shop.stockOf("tea")
    const order = await shop.ok(
      contract.orders.create,
      {
        lines: [
          { sku: "tea", quantity: 2 },
          { sku: "cup", quantity: 1 },
          { sku: "tea", quantity: 3 }
        ]
      },
      ann
    )
    expect(order).toMatchObject({
      status: "PENDING",
      totalMinor: 5 * 250 + 1_099,
      items: [
        { sku: "cup", quantity: 1, unitPriceMinor: 1_099 },
        { sku: "tea", quantity: 5, unitPriceMinor: 250 }
      ]
    })
    expect(await shop.stockOf("tea")).toBe(before - 5)
    expect(await shop.ok(contract.orders.get, { orderId: order.id }, ann)).toEqual(order)
  })

  // Known from comparable systems: a cart with the same product on two lines passes the check line by line.
  test("the same product on two lines cannot pass the check line by line", async () => {
    await shop.newProduct("six", 6)
    const answer = await create([
      { sku: "six", quantity: 4 },
      { sku: "six", quantity: 4 }
    ])
    expect(answer).toMatchObject({
      status: 409,
      tag: "OutOfStock",
      error: { sku: "six", requested: 8, available: 6 }
    })
    expect(await shop.stockOf("six")).toBe(6)
  })

  // Known from comparable systems: a refused order leaks stock (an unknown user: see "a valid token of a deleted user").
  test("a refused order leaks no stock: the second line is unknown, or has too little", async () => {
    await shop.newProduct("plenty", 9)
    await shop.newProduct("scarce", 1)
    const unknown = await create([
      { sku: "plenty", quantity: 5 },
      { sku: "unknown", quantity: 1 }
    ])
    expect(unknown).toMatchObject({ status: 404, tag: "ProductNotFound", error: { sku: "unknown" } })
    const scarce = await create([
      { sku: "plenty", quantity: 5 },
      { sku: "scarce", quantity: 2 }
    ])
    expect(scarce).toMatchObject({ tag: "OutOfStock", error: { sku: "scarce" } })
    expect(await shop.stockOf("plenty")).toBe(9)
  })

  test("nobody sees another user's order, and the answer does not say that it exists", async () => {
    const order = await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, ann)
    const foreign = await shop.call(contract.orders.get, { orderId: order.id }, bob)
    const unknown = await shop.call(
      contract.orders.get,
      { orderId: "01900000-0000-7000-8000-000000000000" },
      bob
    )
    expect(foreign).toMatchObject({ status: 404, tag: "OrderNotFound" })
    expect(unknown).toMatchObject({ status: 404, tag: "OrderNotFound" })
    const page = await shop.ok(contract.orders.page, {}, bob)
    expect(page.items.map((item) => item.id)).not.toContain(order.id)
    expect(await shop.call(contract.payments.process, { orderId: order.id }, bob)).toMatchObject({
      tag: "OrderNotFound"
    })
  })

  test("pages are one's own orders, the newest first, each once", async () => {
    const user = await shop.newUser()
    const placed: Array<string> = []
    for (let n = 0; n < 7; n++) {
      placed.push((await shop.ok(contract.orders.create, { lines: [{ sku: "cup", quantity: 1 }] }, user)).id)
    }
    const first = await shop.ok(contract.orders.page, { limit: 4 }, user)
    const second = await shop.ok(contract.orders.page, { limit: 4, cursor: first.nextCursor! }, user)
    expect([...first.items, ...second.items].map((order) => order.id)).toEqual(placed.toReversed())
    expect(first.items[0]?.items).toEqual([{ sku: "cup", quantity: 1, unitPriceMinor: 1_099 }])
    expect(second.nextCursor).toBeUndefined()
  })

  test("a key that is sent again repeats the answer, with another input it is refused", async () => {
    const first = await create([{ sku: "tea", quantity: 1 }], ann.token, "one key")
    expect(first).toMatchObject({ tag: "InvalidInput" }) // blanks are not allowed in keys
    const order = await create([{ sku: "tea", quantity: 1 }], ann.token, "one-key")
    expect(await create([{ sku: "tea", quantity: 1 }], ann.token, "one-key")).toEqual(order)
    const other = await create([{ sku: "tea", quantity: 2 }], ann.token, "one-key")
    expect(other).toMatchObject({
      status: 422,
      tag: "IdempotencyKeyReused",
      error: { idempotencyKey: "one-key" }
    })
    const bobs = await create([{ sku: "tea", quantity: 1 }], bob.token, "one-key")
    expect(bobs.ok && order.ok && bobs.value.id !== order.value.id).toBe(true)
  })

  test("a refusal is an answer too: the same key repeats it even when there is stock again", async () => {
    await shop.newProduct("late", 0)
    const refused = await create([{ sku: "late", quantity: 1 }], ann.token, "late-key")
    expect(refused).toMatchObject({ tag: "OutOfStock" })
    await shop.ok(contract.admin.adjustStock, { sku: "late", delta: 5, reason: "delivery" }, shop.admin)
    expect(await create([{ sku: "late", quantity: 1 }], ann.token, "late-key")).toMatchObject({
      tag: "OutOfStock",
      error: { available: 0 }
    })
    expect(await create([{ sku: "late", quantity: 1 }], ann.token, "new-key")).toMatchObject({ ok: true })
    expect(await shop.stockOf("late")).toBe(4)
  })

  test.each([
    [[{ sku: "tea", quantity: 0 }], "lines[0].quantity"],
    [
      [
        { sku: "tea", quantity: 1 },
        { sku: "tea", quantity: -1 }
      ],
      "lines[1].quantity"
    ],
    [[{ sku: "tea", quantity: 1.5 }], "lines[0].quantity"],
    [[{ sku: "tea", quantity: "1" }], "lines[0].quantity"],
    [[{ sku: "tea", quantity: 10_000_000_000 }], "lines[0].quantity"],
    [[{ quantity: 1 }], "lines[0].sku"],
    [[], "lines"],
    ["tea", "lines"],
    [undefined, "lines"]
  ])("bad lines %j name %s and take nothing", async (lines, path) => {
    const before = await shop.stockOf("tea")
    const answer = await create(lines as never)
    expect(answer).toMatchObject({ status: 400, tag: "InvalidInput", error: { issues: [{ path }] } })
    expect(await shop.stockOf("tea")).toBe(before)
  })

  test("the shop's policy holds for merged lines", async () => {
    expect(await create([{ sku: "tea", quantity: 51 }])).toMatchObject({
      status: 422,
      tag: "OrderLimitExceeded",
      error: { limit: "quantity", sku: "tea", requested: 51, maximum: 50 }
    })
    expect(
      await create([
        { sku: "tea", quantity: 26 },
        { sku: "tea", quantity: 25 }
      ])
    ).toMatchObject({
      tag: "OrderLimitExceeded",
      error: { requested: 51 }
    })
    const four = ["a", "b", "c", "d"].map((sku) => ({ sku, quantity: 1 }))
    expect(await create(four)).toMatchObject({
      tag: "OrderLimitExceeded",
      error: { limit: "lines", requested: 4, maximum: 3 }
    })
  })
})
