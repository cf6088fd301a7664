import { contract, type InputOf } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { auditDamages } from "../test/audit-damages.ts"
import { restore, snapshot } from "../test/saved-tables.ts"
import { Shop, type TestUser } from "../test/shop.ts"
import { runChecks } from "./platform/audit/check.ts"
import { auditTrailCheck } from "./platform/audit-trail/check.ts"

type Admin = typeof contract.admin
type Name = keyof Admin

/** A call, what the audit trail is to say of it, and calls that it says nothing of. */
interface Expectation<N extends Name> {
  readonly call: InputOf<Admin[N]>
  readonly entry: { readonly subject: string | RegExp; readonly before?: object; readonly after?: object }
  /** Accepted after the call, and changes nothing. */
  readonly unchanged?: InputOf<Admin[N]>
  readonly refused?: InputOf<Admin[N]>
}

const UNKNOWN = "01900000-0000-7000-8000-000000000000"
const terms = {
  name: "Spring",
  discount: { kind: "percent", percent: 10 },
  minimumOrderMinor: 0,
  quantity: 5,
  startsAt: "2026-01-01T00:00:00.000Z",
  endsAt: "2100-01-01T00:00:00.000Z",
  validDays: 7
} as const

describe("the audit trail", () => {
  let shop: Shop
  let expectations: { readonly [N in Name]: Expectation<N> | "reads" }
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2 })
    const user = await shop.newUser(100)
    await shop.newProduct("tea", 10)
    const create = () => shop.ok(contract.admin.createCoupon, terms, shop.admin)
    const [running, raised, paused] = [await create(), await create(), await create()]
    await shop.ok(contract.admin.pauseCoupon, { couponId: paused.id }, shop.admin)
    await shop.sql.query(
      "INSERT INTO webhook_deliveries (id, event_id, topic, body, status) VALUES (7, 999, 'order.paid', '{}', 'dead')"
    )
    const product = { sku: "mug", name: "Mug", priceMinor: 300, initialStock: 4 }
    expectations = {
      createProduct: {
        call: product,
        entry: { subject: "product:mug", after: { name: "Mug", priceMinor: 300, stock: 4 } },
        refused: product
      },
      adjustStock: {
        call: { sku: "tea", delta: -3, reason: "broken" },
        entry: { subject: "product:tea", before: { stock: 10 }, after: { stock: 7 } },
        refused: { sku: "tea", delta: -100, reason: "broken" }
      },
      createCoupon: {
        call: terms,
        entry: { subject: /^coupon:[\w-]{36}$/, after: { ...terms, issued: 0, paused: false } }
      },
      pauseCoupon: {
        call: { couponId: running.id },
        entry: { subject: `coupon:${running.id}`, before: { paused: false }, after: { paused: true } },
        unchanged: { couponId: running.id },
        refused: { couponId: UNKNOWN }
      },
      resumeCoupon: {
        call: { couponId: paused.id },
        entry: { subject: `coupon:${paused.id}`, before: { paused: true }, after: { paused: false } },
        unchanged: { couponId: paused.id },
        refused: { couponId: UNKNOWN }
      },
      raiseCouponQuantity: {
        call: { couponId: raised.id, additional: 2 },
        entry: { subject: `coupon:${raised.id}`, before: { quantity: 5 }, after: { quantity: 7 } },
        refused: { couponId: UNKNOWN, additional: 2 }
      },
      grantPoints: {
        call: { userId: user.id, amount: 50, reason: "sorry" },
        entry: { subject: `user:${user.id}`, before: { balance: 100 }, after: { balance: 150 } },
        refused: { userId: UNKNOWN, amount: 50, reason: "sorry" }
      },
      retryDelivery: {
        call: { deliveryId: 7 },
        entry: { subject: "delivery:7", before: { status: "dead" }, after: { status: "pending" } },
        refused: { deliveryId: 8 }
      },
      couponCounts: "reads",
      deadLetters: "reads",
      auditTrail: "reads"
    }
  })
  afterAll(() => shop.stop())

  const entries = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT *, LOWER(HEX(actor_id)) AS actor FROM audit_trail WHERE chain = 0 ORDER BY position"
    )
    return rows
  }
  const heads = async () => (await shop.sql.query("SELECT * FROM audit_heads"))[0]
  const trailReport = async () => (await shop.servers[0].runtime.runPromise(runChecks([auditTrailCheck])))[0]

  test("the contract has no administrator's procedure without an expectation here", () => {
    expect(Object.keys(contract.admin).toSorted()).toEqual(Object.keys(expectations).toSorted())
    for (const [name, expectation] of Object.entries(expectations))
      expect(contract.admin[name as Name].kind === "query", name).toBe(expectation === "reads")
  })

  const isWriting = (name: Name) => contract.admin[name].kind === "mutation"
  const names = Object.keys(contract.admin) as Array<Name>
  const expectationOf = (name: Name) => expectations[name] as Expectation<"adjustStock">
  const procedureOf = (name: Name) => contract.admin[name] as Admin["adjustStock"]

  // Guarantees: an administrator's action and its entry are committed together, once, or neither is.
  test.each(names.filter(isWriting))("admin.%s writes one entry with its effect", async (name) => {
    const { call, entry, refused, unchanged } = expectationOf(name)
    const procedure = procedureOf(name)
    const before = await entries()
    const headsBefore = await heads()
    const options = { token: shop.admin.token, idempotencyKey: randomUUID() }

    await shop.sql.query(
      "CREATE TRIGGER fail BEFORE INSERT ON idempotency_keys FOR EACH ROW SIGNAL SQLSTATE '45000'"
    )
    try {
      expect((await shop.call(procedure, call, options)).ok).toBe(false)
    } finally {
      await shop.sql.query("DROP TRIGGER fail")
    }
    expect(await entries(), "rolled back").toEqual(before)
    expect(await heads(), "rolled back").toEqual(headsBefore)

    const headers = { "x-request-id": `request-${name}` }
    const answer = await shop.ok(procedure, call, { ...options, headers })
    const written = (await entries()).slice(before.length)
    expect(written).toHaveLength(1)
    const [row] = written as unknown as [RowDataPacket]
    expect(row).toMatchObject({
      actor: shop.admin.id.replaceAll("-", ""),
      address: "127.0.0.1",
      session_id: expect.stringMatching(/^[\w-]{36}$/),
      request_id: `request-${name}`,
      procedure_path: `admin.${name}`,
      subject: typeof entry.subject === "string" ? entry.subject : expect.stringMatching(entry.subject)
    })
    expect({ before: JSON.parse(row["state_before"]), after: JSON.parse(row["state_after"]) }).toEqual({
      before: entry.before ?? null,
      after: entry.after ?? null
    })

    expect(await shop.ok(procedure, call, options), "replayed").toEqual(answer)
    if (unchanged !== undefined) await shop.ok(procedure, unchanged, shop.admin)
    if (refused !== undefined) expect((await shop.call(procedure, refused, shop.admin)).ok).toBe(false)
    expect(await entries()).toHaveLength(before.length + 1)
    expect(await trailReport()).toMatchObject({ ok: true })
  })

  test.each(names.filter((name) => !isWriting(name)))("admin.%s writes no entry", async (name) => {
    const before = await entries()
    await shop.ok(contract.admin[name] as Admin["deadLetters"], {}, shop.admin)
    expect(await entries()).toEqual(before)
  })

  // Guarantees: actions at once on two processes get one order, which is the order of their commits.
  test("20 actions at once leave a whole chain, in the order of their effects", async () => {
    const skus = ["crowd", ...Array.from({ length: 10 }, (_, n) => `alone-${n}`)]
    for (const sku of skus) await shop.newProduct(sku, 100)
    const before = await entries()
    const result = await race(20, (caller) => {
      const sku = skus[caller % 2 === 0 ? 0 : 1 + (caller >> 1)]!
      return shop.ok(contract.admin.adjustStock, { sku, delta: 1, reason: "count" }, shop.admin)
    })
    expectExactly(result, 20)
    const written = (await entries()).slice(before.length)
    expect(written.map(({ position }) => position)).toEqual(
      Array.from({ length: 20 }, (_, index) => before.length + 1 + index)
    )
    const stocks = written
      .filter(({ subject }) => subject === "product:crowd")
      .map((row) => JSON.parse(row["state_after"]).stock as number)
    expect(stocks).toEqual(Array.from({ length: 10 }, (_, index) => 101 + index))
    expect(await trailReport()).toMatchObject({ ok: true })
  })

  test("the pages give every entry once, newest first, and obey the filters", async () => {
    const all = (await entries()).map(({ position }) => position as number).toReversed()
    const walk = async (filter: Omit<InputOf<Admin["auditTrail"]>, "cursor">) => {
      const items: Array<Admin["auditTrail"]["output"]["Encoded"]["items"][number]> = []
      let cursor: string | undefined
      do {
        const input = { ...filter, ...(cursor === undefined ? {} : { cursor }) }
        const page = await shop.ok(contract.admin.auditTrail, input, shop.admin)
        items.push(...page.items)
        cursor = page.nextCursor
      } while (cursor !== undefined)
      return items
    }
    const items = await walk({ limit: 3 })
    expect(items.filter(({ chain }) => chain === 0).map(({ position }) => position)).toEqual(all)
    const ofTea = await walk({ subject: "product:tea" })
    expect(ofTea.map(({ procedure }) => procedure)).toEqual(["admin.adjustStock", "admin.createProduct"])
    expect(ofTea[0]).toMatchObject({ actorId: shop.admin.id, before: { stock: 10 }, after: { stock: 7 } })
    const procedure = "admin.pauseCoupon"
    expect(await walk({ procedure })).toEqual(items.filter((item) => item.procedure === procedure))
    const actorId = shop.admin.id
    expect(await walk({ actorId, limit: 100 })).toEqual(items.filter((item) => item.actorId === actorId))
    expect(await walk({ actorId: UNKNOWN })).toEqual([])
    const [from, until] = [items[9]!.at, items[4]!.at]
    const inSpan = ({ at }: { readonly at: string }) => at >= from && at < until
    expect(await walk({ from, until })).toEqual(items.filter(inSpan))
  })

  test("only administrators read it, and a foreign cursor is refused", async () => {
    const user = await shop.newUser()
    const asUser = await shop.call(contract.admin.auditTrail, {}, user)
    expect(asUser).toMatchObject({ ok: false, tag: "Forbidden" })
    const { nextCursor } = await shop.ok(contract.admin.couponCounts, { limit: 1 }, shop.admin)
    const foreign = await shop.call(contract.admin.auditTrail, { cursor: nextCursor! }, shop.admin)
    expect(foreign).toMatchObject({ ok: false, tag: "InvalidInput" })
  })

  test("every row of the ledgers names who moved points and units", async () => {
    const user: TestUser = await shop.newUser(1_000)
    const order = await shop.ok(contract.orders.create, { lines: [{ sku: "mug", quantity: 1 }] }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    await shop.ok(contract.orders.cancel, { orderId: order.id }, user)
    await shop.ok(contract.points.charge, { amount: 1_000 }, user)
    const actors = async (ledger: string, where: string) => {
      const [rows] = await shop.sql.query<Array<RowDataPacket>>(
        `SELECT kind, LOWER(HEX(actor_id)) AS actor FROM ${ledger} WHERE ${where} ORDER BY id`
      )
      return rows.map(({ actor, kind }) => [kind, actor])
    }
    const [own, admin] = [user.id.replaceAll("-", ""), shop.admin.id.replaceAll("-", "")]
    expect(await actors("point_ledger", `user_id = UNHEX('${own}')`)).toEqual([
      ["grant", admin],
      ["payment", own],
      ["refund", own],
      ["charge", own]
    ])
    expect(await actors("stock_ledger", "sku = 'mug'")).toEqual([
      ["initial", admin],
      ["reservation", own],
      ["release", own]
    ])
    expect(await actors("stock_ledger", "kind = 'adjustment'")).toContainEqual(["adjustment", admin])
    expect(await actors("stock_ledger", "actor_id IS NULL")).toEqual([])
  })

  describe("verify reports", () => {
    beforeAll(() => snapshot(shop))

    test.each(auditDamages)("%s", async (_damage, statements) => {
      await restore(shop, ["audit_trail", "audit_heads"])
      expect(await trailReport()).toMatchObject({ ok: true })
      for (const statement of statements) await shop.sql.query(statement)
      expect(await trailReport()).toMatchObject({ ok: false })
    })
  })
})
