import { contract, OrderCreateLock, type OrderLine, Sku, UserId } from "@holdfast/domain"
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { manyUsers } from "../../../test/sale.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"

const USERS = 20

describe("orders and payments that share transactions", () => {
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  let goods: { readonly held: string; readonly free: string }
  beforeAll(async () => {
    shop = await Shop.open()
    users = await manyUsers(shop, USERS)
    await shop.sql.query("UPDATE point_accounts SET balance = 0")
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })
  beforeEach(async () => {
    goods = {
      held: await shop.newProduct(randomUUID(), 1_000, 0),
      free: await shop.newProduct(randomUUID(), 1_000, 0)
    }
  })

  const order = (user: TestUser, sku: string, idempotencyKey: string = randomUUID(), quantity = 1) =>
    shop.call(contract.orders.create, { lines: [{ sku, quantity }] }, { token: user.token, idempotencyKey })
  const pay = (user: TestUser, orderId: string) =>
    shop.ok(contract.payments.process, { orderId }, { token: user.token, idempotencyKey: randomUUID() })

  /** Holds a row from outside, as a long transaction of another program does. */
  const holding = async (select: string, parameters: ReadonlyArray<unknown>) => {
    const connection = await shop.sql.getConnection()
    await connection.query("BEGIN")
    await connection.query(`${select} FOR UPDATE`, [...parameters])
    return {
      letGo: async () => {
        await connection.query("ROLLBACK")
        connection.release()
      }
    }
  }

  // Guarantees: a product's row that is held from outside delays the orders of that product and no others.
  test("orders of other goods do not wait for a held product", async () => {
    const row = await holding("SELECT sku FROM products WHERE sku = ?", [goods.held])
    let delayed = 0
    const ofHeld = users.map((user) => order(user, goods.held).finally(() => (delayed += 1)))
    const ofFree = await Promise.all(users.map((user) => order(user, goods.free)))
    expect(ofFree.every(({ ok }) => ok)).toBe(true)
    expect(delayed).toBe(0)
    await row.letGo()
    expect((await Promise.all(ofHeld)).every(({ ok }) => ok)).toBe(true)
    expect(await shop.stockOf(goods.held)).toBe(1_000 - USERS)
    expect(await shop.stockOf(goods.free)).toBe(1_000 - USERS)
  })

  // Guarantees: an order's row, or an account, that is held from outside delays its own payments and no others.
  test.each([
    ["order", "SELECT id FROM orders WHERE id = UNHEX(REPLACE(?, '-', ''))"],
    ["account", "SELECT user_id FROM point_accounts WHERE user_id = UNHEX(REPLACE(?, '-', ''))"]
  ])("payments do not wait for another one's held %s", async (held, select) => {
    const orders = await Promise.all(users.map((user) => order(user, goods.free)))
    const ids = orders.map((answer) => (answer.ok ? answer.value.id : ""))
    const row = await holding(select, [held === "order" ? ids[0] : users[0]!.id])
    let isPaid = false
    const first = pay(users[0]!, ids[0]!).finally(() => (isPaid = true))
    await Promise.all(users.slice(1).map((user, index) => pay(user, ids[index + 1]!)))
    expect(isPaid).toBe(false)
    await row.letGo()
    expect((await first).orderId).toBe(ids[0])
  })

  test("an unknown product is refused and waits for nothing", async () => {
    const answers = await Promise.all([
      order(users[0]!, goods.free),
      order(users[1]!, "no such product"),
      order(users[2]!, goods.free)
    ])
    expect(answers.map((answer) => (answer.ok ? "placed" : answer.tag))).toEqual([
      "placed",
      "ProductNotFound",
      "placed"
    ])
  })

  // Guarantees: a caller whose lock a later holder has overtaken changes nothing, and its company is not harmed.
  test("a stale fence drops its own caller only", async () => {
    const lines: ReadonlyArray<OrderLine> = [{ sku: Sku.make(goods.free), quantity: 1 }]
    const target = OrderCreateLock.of({ userId: UserId.make(users[3]!.id), lines })
    const key = target.scope.key(target.subject)
    await shop.sql.query("REPLACE INTO lock_fences (lock_key, token) VALUES (?, ?)", [
      key,
      Number.MAX_SAFE_INTEGER
    ])
    const answers = await Promise.all(users.map((user) => order(user, goods.free)))
    expect(answers.map((answer) => (answer.ok ? "placed" : answer.tag))).toEqual(
      users.map((_, index) => (index === 3 ? "ServiceUnavailable" : "placed"))
    )
    expect(await shop.stockOf(goods.free)).toBe(1_000 - USERS + 1)
  })

  // Guarantees: one key means one input, also within one transaction.
  test("requests with one key and other inputs are told so", async () => {
    const key = randomUUID()
    const answers = await Promise.all([
      ...users.slice(0, 4).map((user) => order(user, goods.free, randomUUID())),
      ...[1, 2, 3, 4].map((quantity) => order(users[5]!, goods.free, key, quantity))
    ])
    const outcomes = answers.slice(4).map((answer) => (answer.ok ? "placed" : answer.tag))
    expect(outcomes.filter((outcome) => outcome === "placed")).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === "IdempotencyKeyReused")).toHaveLength(3)
  })

  test("a deleted user among the callers is told so, and the others are served", async () => {
    const [deleted] = await manyUsers(shop, 1)
    await shop.sql.query("DELETE FROM point_accounts WHERE user_id = UNHEX(REPLACE(?, '-', ''))", [
      deleted!.id
    ])
    await shop.sql.query("DELETE FROM users WHERE id = UNHEX(REPLACE(?, '-', ''))", [deleted!.id])
    const answers = await Promise.all([...users, deleted!].map((user) => order(user, goods.free)))
    expect(answers.map((answer) => (answer.ok ? "placed" : answer.tag))).toEqual([
      ...users.map(() => "placed"),
      "Unauthenticated"
    ])
  })
})
