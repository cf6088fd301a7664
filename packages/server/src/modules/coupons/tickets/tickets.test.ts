import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../../platform/db/ids.ts"
import { drain, runJob } from "../../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../../test/shop.ts"
import { useShop } from "../../../../test/use-shop.ts"
import { subscribe } from "../../../../test/subscribe.ts"
import { couponInput, gateOf, issue, issuedOf, manyUsers, newCoupon } from "../../../../test/sale.ts"
import { ticketCleaner } from "./cleaner.ts"
import { ticketServer } from "./service.ts"

const NOBODY = "01890000-0000-7000-8000-000000000000"

describe("tickets", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const request = (couponId: string, user: TestUser) =>
    shop.ok(contract.coupons.requestIssue, { couponId }, user)
  const ticket = (ticketId: string, user: TestUser) => shop.ok(contract.coupons.ticket, { ticketId }, user)
  const serve = () => drain(shop.servers[0], ticketServer)

  test("a ticket answers at once and waits; served, it has the coupon or says why not, in the order of the line", async () => {
    const users = await manyUsers(shop, 4)
    const { id: couponId } = await newCoupon(shop, { quantity: 2 })
    const tickets = []
    for (const user of users) tickets.push(await request(couponId, user))
    expect(new Set(tickets.map(({ result }) => result.status))).toEqual(new Set(["waiting"]))
    expect(await issuedOf(shop, couponId)).toBe(0)
    expect(await serve()).toBe(4)
    const [first, second, third, fourth] = await Promise.all(
      tickets.map(({ id }, index) => ticket(id, users[index]!))
    )
    expect(first?.result).toMatchObject({ status: "issued", coupon: { couponId, userId: users[0]!.id } })
    expect(second?.result.status).toBe("issued")
    for (const late of [third, fourth])
      expect(late?.result).toMatchObject({ status: "refused", error: { _tag: "CouponSoldOut", quantity: 2 } })
    const { items } = await shop.ok(contract.coupons.mine, {}, users[0])
    expect(first?.result).toEqual({ status: "issued", coupon: items[0] })
  })

  test("500 in line for 100 coupons, served by two processes at once beside direct requests: 100 issued, nobody twice", async () => {
    const users = await manyUsers(shop, 600)
    const { id: couponId } = await newCoupon(shop, { quantity: 100 })
    const inLine = users.slice(0, 500)
    const asked = await race(500, (caller) => request(couponId, inLine[caller]!))
    expectExactly(asked, 500)
    const tickets = asked.winners.map(({ caller, value }) => ({ id: value.id, user: inLine[caller]! }))
    const serving = shop.servers.map((server) => drain(server, ticketServer))
    const direct = await race(100, (caller) => issue(shop, couponId, users[500 + caller]!))
    const served = await Promise.all(serving)
    expect(served.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(500)
    const results = await Promise.all(tickets.map(({ id, user }) => ticket(id, user)))
    const issued = results.filter(({ result }) => result.status === "issued").length
    expect(issued + direct.winners.length).toBe(100)
    expect(results.filter(({ result }) => result.status === "refused")).toHaveLength(500 - issued)
    expect(await issuedOf(shop, couponId)).toBe(100)
  }, 60_000)

  test("a ticket that cannot be settled keeps nobody in its line waiting, and is tried again later", async () => {
    const users = await manyUsers(shop, 12)
    const { id: couponId } = await newCoupon(shop, { quantity: 12 })
    const tickets: Array<{ readonly id: string }> = []
    for (const user of users) tickets.push(await request(couponId, user))
    const broken = users[4]!
    await shop.sql.query(
      `CREATE TRIGGER broken BEFORE INSERT ON user_coupons FOR EACH ROW
        IF NEW.user_id = UNHEX('${broken.id.replaceAll("-", "")}') THEN
          SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a broken row'; END IF`
    )
    const statuses = () =>
      Promise.all(tickets.map(async ({ id }, index) => (await ticket(id, users[index]!)).result.status))
    await serve()
    expect(await statuses()).toEqual(users.map((user) => (user === broken ? "waiting" : "issued")))
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT item, reason FROM set_aside")
    expect(rows).toMatchObject([
      { item: bytesOf(tickets[4]!.id), reason: expect.stringContaining("a broken row") }
    ])
    await shop.sql.query("DROP TRIGGER broken")
    await shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3)")
    await serve()
    expect((await statuses())[4]).toBe("issued")
    expect((await shop.sql.query<Array<RowDataPacket>>("SELECT 1 FROM set_aside"))[0]).toEqual([])
  })

  test("what another job has set aside is served", async () => {
    const [user] = await manyUsers(shop, 1)
    const { id: couponId } = await newCoupon(shop)
    const { id } = await request(couponId, user!)
    await shop.sql.query("INSERT INTO set_aside (job, item, reason, next_attempt_at) VALUES ?", [
      [couponId, id].map((item) => ["coupon gates", bytesOf(item), "", new Date(Date.now() + 3_600_000)])
    ])
    await serve()
    expect((await ticket(id, user!)).result.status).toBe("issued")
    await shop.sql.query("DELETE FROM set_aside")
  })

  test("a campaign whose row another transaction holds does not keep the lines of others waiting", async () => {
    const [user] = await manyUsers(shop, 1)
    const [held, free] = [await newCoupon(shop), await newCoupon(shop)]
    const inLine = [await request(held.id, user!), await request(free.id, user!)]
    const holder = await shop.sql.getConnection()
    await holder.query("BEGIN")
    await holder.query("SELECT * FROM coupons WHERE id = ? FOR UPDATE", [bytesOf(held.id)])
    try {
      const serving = runJob(shop.servers[0], ticketServer)
      await eventually(async () => expect((await ticket(inLine[1]!.id, user!)).result.status).toBe("issued"))
      expect(await serving).toBe(1)
    } finally {
      await holder.query("ROLLBACK")
      holder.release()
    }
    await eventually(async () => {
      await serve()
      expect((await ticket(inLine[0]!.id, user!)).result.status).toBe("issued")
    })
  })

  test("a user has one place in a line, also when asking 20 times at once", async () => {
    const [user] = (await manyUsers(shop, 1)) as [TestUser]
    const { id: couponId } = await newCoupon(shop)
    const result = await race(20, () => request(couponId, user))
    expectExactly(result, 20)
    expect(new Set(result.winners.map(({ value }) => value.id)).size).toBe(1)
    await serve()
    expect(await issuedOf(shop, couponId)).toBe(1)
    expect(await gateOf(shop, couponId)).toBeUndefined()
  })

  test("who has the coupon, and whose campaign is closed or unknown, is refused at once", async () => {
    const [ann, bob] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    const mine = await issue(shop, couponId, ann)
    const refusal = async (id: string, user: TestUser) => {
      const answer = await shop.call(contract.coupons.requestIssue, { couponId: id }, user)
      return answer.ok ? "a ticket" : answer
    }
    expect(await refusal(couponId, ann)).toMatchObject({
      tag: "CouponAlreadyIssued",
      error: { coupon: mine }
    })
    expect(await refusal(couponId, bob)).toMatchObject({ tag: "CouponSoldOut" })
    expect(await refusal(NOBODY, bob)).toMatchObject({ tag: "CouponNotFound" })
    const later = couponInput({ startsAt: "2040-01-01T00:00:00Z", endsAt: "2041-01-01T00:00:00Z" })
    expect(await refusal((await newCoupon(shop, later)).id, bob)).toMatchObject({ tag: "CouponNotStarted" })
  })

  test("a campaign that is paused while people wait refuses them; who got the coupon meanwhile is told so", async () => {
    const [ann, bob] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const { id: couponId } = await newCoupon(shop)
    const [annsTicket, bobsTicket] = [await request(couponId, ann), await request(couponId, bob)]
    const mine = await issue(shop, couponId, ann)
    await shop.ok(contract.admin.pauseCoupon, { couponId }, shop.admin)
    await serve()
    expect((await ticket(annsTicket.id, ann)).result).toMatchObject({
      status: "refused",
      error: { _tag: "CouponAlreadyIssued", coupon: mine }
    })
    expect((await ticket(bobsTicket.id, bob)).result).toMatchObject({ error: { _tag: "CouponPaused" } })
    await shop.ok(contract.admin.resumeCoupon, { couponId }, shop.admin)
    const again = await request(couponId, bob)
    expect(again.id).not.toBe(bobsTicket.id)
    await serve()
    expect((await ticket(again.id, bob)).result.status).toBe("issued")
  })

  // Guarantees: the coupons of a line's front are issued together, so a user who is gone must not be among them.
  test("a user who is deleted while waiting does not stop the line, and cannot stand in it again", async () => {
    const [gone, next] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    await request(couponId, gone)
    const { id } = await request(couponId, next)
    await shop.sql.query("DELETE FROM point_accounts WHERE user_id = ?", [bytesOf(gone.id)])
    await shop.sql.query("DELETE FROM users WHERE id = ?", [bytesOf(gone.id)])
    expect(await shop.call(contract.coupons.requestIssue, { couponId }, gone)).toMatchObject({
      status: 401,
      tag: "Unauthenticated"
    })
    await serve()
    expect((await ticket(id, next)).result.status).toBe("issued")
  })

  test("another user's ticket is not found", async () => {
    const [ann, bob] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const { id } = await request((await newCoupon(shop)).id, ann)
    expect(await shop.call(contract.coupons.ticket, { ticketId: id }, bob)).toMatchObject({
      tag: "TicketNotFound"
    })
    const events = await subscribe(
      shop.servers[0].url,
      contract.coupons.watchTicket,
      { ticketId: id },
      bob.token
    ).all()
    expect(events).toMatchObject([
      { event: "serialized-error", data: { data: { domain: { _tag: "TicketNotFound" } } } }
    ])
  })

  // Guarantees: the table has an end, however many tickets a campaign has.
  test("tickets that were settled long ago are deleted; those held, young or waiting stay", async () => {
    const users = (await manyUsers(shop, 4)) as [TestUser, TestUser, TestUser, TestUser]
    const { id: couponId } = await newCoupon(shop, { quantity: 4 })
    const ids: Array<string> = []
    for (const user of users.slice(0, 3)) ids.push((await request(couponId, user)).id)
    await serve()
    ids.push((await request(couponId, users[3])).id)
    const [old, held] = ids.map(bytesOf)
    await shop.sql.query(
      "UPDATE coupon_tickets SET settled_at = UTC_TIMESTAMP(3) - INTERVAL 8 DAY WHERE id IN (?, ?)",
      [old, held]
    )
    const left = async () => {
      const [rows] = await shop.sql.query<Array<RowDataPacket>>(
        "SELECT id FROM coupon_tickets WHERE coupon_id = ? ORDER BY place",
        [bytesOf(couponId)]
      )
      return rows.map(({ id }) => ids.findIndex((ticketId) => bytesOf(ticketId).equals(id as Buffer)))
    }
    const holder = await shop.sql.getConnection()
    await holder.query("BEGIN")
    await holder.query("SELECT * FROM coupon_tickets WHERE id = ? FOR UPDATE", [held])
    try {
      await runJob(shop.servers[0], ticketCleaner)
      expect(await left()).toEqual([1, 2, 3])
    } finally {
      await holder.query("ROLLBACK")
      holder.release()
    }
    await runJob(shop.servers[0], ticketCleaner)
    expect(await left()).toEqual([2, 3])
    expect(await shop.call(contract.coupons.ticket, { ticketId: ids[0]! }, users[0])).toMatchObject({
      tag: "TicketNotFound"
    })
    // Who has the coupon still has it, and gets no second one.
    const again = await request(couponId, users[0])
    await serve()
    expect((await ticket(again.id, users[0])).result).toMatchObject({
      status: "refused",
      error: { _tag: "CouponAlreadyIssued" }
    })
  })

  describe("watched", () => {
    test("the subscription tells that the ticket waits, then what became of it, and ends", async () => {
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const { id: ticketId } = await request((await newCoupon(shop)).id, user)
      // Served by one process, watched at the other.
      const watching = subscribe(shop.servers[1]!.url, contract.coupons.watchTicket, { ticketId }, user.token)
      expect(await watching.next()).toMatchObject({ data: { id: ticketId, result: { status: "waiting" } } })
      await serve()
      expect(await watching.next()).toMatchObject({ data: { id: ticketId, result: { status: "issued" } } })
      expect((await watching.all()).map(({ event }) => event)).toEqual(["return"])
    })

    test("a ticket that is settled already is told once", async () => {
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const { id: ticketId } = await request((await newCoupon(shop)).id, user)
      await serve()
      const events = await subscribe(
        shop.servers[0].url,
        contract.coupons.watchTicket,
        { ticketId },
        user.token
      ).all()
      expect(events.map(({ event }) => event)).toEqual(["message", "return"])
    })

    test("without a token, or with an input that is none, the stream says why", async () => {
      const { url } = shop.servers[0]
      const [anonymous] = await subscribe(url, contract.coupons.watchTicket, { ticketId: NOBODY }).all()
      expect(anonymous?.data).toMatchObject({
        data: { domain: { _tag: "Unauthenticated", reason: "missing" } }
      })
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const [wrong] = await subscribe(url, contract.coupons.watchTicket, { ticketId: "x" }, user.token).all()
      expect(wrong?.data).toMatchObject({
        data: { domain: { _tag: "InvalidInput", issues: [{ path: "ticketId" }] } }
      })
    })

    test("a browser's event source, which cannot set headers, sends its token along", async () => {
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const { id: ticketId } = await request((await newCoupon(shop)).id, user)
      const parameters = { authorization: `Bearer ${user.token}` }
      const watching = subscribe(
        shop.servers[0].url,
        contract.coupons.watchTicket,
        { ticketId },
        undefined,
        parameters
      )
      expect(await watching.next()).toMatchObject({ data: { result: { status: "waiting" } } })
      watching.close()
    })

    test("a server that stops ends its subscriptions at once", async () => {
      // Without the end of its stream, the connection would keep the server for a minute.
      const other = await Shop.open({ settings: { shutdownMs: 60_000 } })
      const [user] = (await manyUsers(other, 1)) as [TestUser]
      const { id: couponId } = await newCoupon(other)
      const { id: ticketId } = await other.ok(contract.coupons.requestIssue, { couponId }, user)
      const watching = subscribe(other.servers[0].url, contract.coupons.watchTicket, { ticketId }, user.token)
      expect(await watching.next()).toMatchObject({ data: { result: { status: "waiting" } } })
      const stopping = other.stop()
      expect((await watching.all()).map(({ event }) => event)).toEqual(["return"])
      await eventually(() => stopping.then(() => true), { timeoutMs: 20_000 })
    })
  })
})
