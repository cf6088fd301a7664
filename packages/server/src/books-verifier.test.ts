import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runJob } from "../test/jobs.ts"
import { Shop, type TestUser } from "../test/shop.ts"
import { booksVerifier } from "./books-verifier.ts"
import { rememberVerdict } from "./platform/telemetry/process.ts"
import { verifyWith } from "./verify.ts"

describe("the audit of new orders", () => {
  let shop: Shop
  let user: TestUser
  beforeAll(async () => {
    shop = await Shop.open()
    await shop.newProduct("tea", 100, 10)
    user = await shop.newUser(1_000)
  })
  afterAll(() => shop.stop())

  const pay = async () => {
    const { id } = await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, user)
    await shop.ok(contract.payments.process, { orderId: id }, user)
    return id.replaceAll("-", "")
  }
  const verdict = async () => {
    await shop.sql.query("UPDATE worker_turns SET last_round_at = NULL WHERE worker = 'books verifier'")
    await runJob(shop.servers[0], booksVerifier)
    const [rows] = await shop.sql.query("SELECT state FROM worker_turns WHERE worker = 'verify new'")
    return (rows as unknown as ReadonlyArray<{ state: string }>)[0]?.state
  }

  // Guarantees: what is wrong with a new order is found within a minute, and stays found until a whole audit is right.
  test("finds a wrong order while it is new, and remembers it", async () => {
    const order = await pay()
    expect(await verdict()).toBe("ok")
    await shop.sql.query("UPDATE payments SET amount_minor = amount_minor + 1 WHERE order_id = UNHEX(?)", [
      order
    ])
    expect(await verdict()).toBe("wrong")
    await shop.sql.query("UPDATE payments SET amount_minor = amount_minor - 1 WHERE order_id = UNHEX(?)", [
      order
    ])
    expect(await verdict()).toBe("wrong")
    await shop.servers[0].runtime.runPromise(rememberVerdict(true))
    expect(await verdict()).toBe("ok")
  })

  // Guarantees: an audit in portions misses nothing, whichever portion it is in, and says how far it is.
  test("makes the checks that it is asked for, in portions", async () => {
    const order = await pay()
    await pay()
    await shop.sql.query("UPDATE order_items SET quantity = quantity + 1 WHERE order_id = UNHEX(?)", [order])
    const told: Array<string> = []
    const run = (...only: ReadonlyArray<string>) =>
      shop.servers[0].runtime.runPromise(
        verifyWith({
          only,
          portionSize: 1,
          onProgress: ({ check, portion }) => void told.push(`${check} ${portion}`)
        })
      )
    const report = await run("reservations", "paid orders")
    expect(report.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ["reservations", false],
      ["paid orders", true]
    ])
    // Three orders, and what follows the last one.
    expect(told).toEqual(
      ["reservations", "paid orders"].flatMap((name) => [1, 2, 3, 4].map((n) => `${name} ${n}`))
    )
    expect(report.checks[0]!.problems).toHaveLength(1)
    await shop.sql.query("UPDATE order_items SET quantity = quantity - 1 WHERE order_id = UNHEX(?)", [order])
    await eventually(async () => expect((await run()).ok).toBe(true))
    await shop.expectRightBooks()
  })
})
