import { contract } from "@holdfast/domain"
import { Redacted } from "effect"
import { createHash, createHmac } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { TEST_SECRET } from "../../../test/settings.ts"
import { makeRawClient } from "../../../test/raw-client.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { idempotencyKeyOf } from "./idempotency.ts"

describe("what a retry means", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open()
  })
  afterAll(() => shop.stop())

  /** Posts text as it is, so that numbers and properties keep the way in which they are written. */
  const post = async (path: string, body: string, key: string, { token }: TestUser) => {
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${token}`,
      "idempotency-key": key
    }
    const response = await fetch(`${shop.servers[0].url}/trpc/${path}`, { method: "POST", headers, body })
    return await response.json()
  }

  // Guarantees: a change of the secret between a request and its retry changes nothing.
  test("a server with another secret repeats the answers of users and of strangers", async () => {
    const rotated = await shop.openBeside({ secret: Redacted.make("another secret, after the rotation") })
    const after = makeRawClient(rotated.url)
    const account = { email: "rotated@shop.test", password: "a password" }
    const registered = await shop.ok(contract.auth.register, account, { idempotencyKey: "rotated" })
    expect(await after(contract.auth.register, account, { idempotencyKey: "rotated" })).toMatchObject({
      ok: true,
      value: registered
    })
    const charge = { idempotencyKey: "charge" }
    const login = await shop.ok(contract.auth.login, account)
    const charged = await shop.ok(
      contract.points.charge,
      { amount: 1_000 },
      { ...charge, token: login.accessToken }
    )
    const again = await after(contract.auth.login, account)
    const token = again.ok ? again.value.accessToken : ""
    expect(await after(contract.points.charge, { amount: 1_000 }, { ...charge, token })).toMatchObject({
      ok: true,
      value: charged
    })
  })

  // Guarantees: two strangers who choose the same key get answers of their own.
  test("one key, two sign-ups: two users; another password for a taken e-mail learns nothing", async () => {
    const options = { idempotencyKey: "1" }
    const ann = await shop.ok(
      contract.auth.register,
      { email: "ann@s.test", password: "a password" },
      options
    )
    const bob = await shop.ok(
      contract.auth.register,
      { email: "bob@s.test", password: "a password" },
      options
    )
    expect(bob.id).not.toBe(ann.id)
    const stranger = { email: "ann@s.test", password: "not her password" }
    expect(await shop.call(contract.auth.register, stranger, options)).toMatchObject({ tag: "EmailTaken" })
    await shop.expectRightBooks()
  })

  test("a sign-up retried in another spelling is the same sign-up", async () => {
    const options = { idempotencyKey: "spelling" }
    const first = await shop.ok(
      contract.auth.register,
      { email: "jose\u0301@shop.test", password: "cafe\u0301 au lait" },
      options
    )
    const second = await shop.ok(
      contract.auth.register,
      { email: " JOSÉ@shop.test", password: "café\u00A0au lait" },
      options
    )
    expect(second).toEqual(first)
  })

  // Guarantees: the table of keys lets no password be guessed faster than the table of users does.
  test("the fingerprint of a sign-up is no plain hash of the password", async () => {
    const account = { email: "guess@shop.test", password: "a password" }
    await shop.ok(contract.auth.register, account, { idempotencyKey: "guess" })
    const guess = createHash("sha256")
      .update(`auth.register\n${JSON.stringify(account)}`)
      .digest()
    const [rows] = await shop.sql.query(
      "SELECT fingerprint FROM idempotency_keys WHERE idempotency_key = 'guess'"
    )
    expect(rows).toHaveLength(1)
    expect(rows).not.toEqual([{ fingerprint: guess }])
  })

  test.each([
    ['{"amount":1000}', '{"amount":1e3}'],
    ['{"amount":1000}', '{ "amount" : 1000.0 }'],
    ['{"lines":[{"sku":"tea","quantity":1}]}', '{"lines":[{"quantity":1,"sku":"tea"}]}']
  ])("%s and %s are one request", async (first, second) => {
    const user = await shop.newUser()
    await shop.newProduct("tea", 5).catch(() => {})
    const path = first.includes("lines") ? "orders.create" : "points.charge"
    const answer = await post(path, first, "same", user)
    expect(answer).toHaveProperty("result")
    expect(await post(path, second, "same", user)).toEqual(answer)
  })

  test.each(['{"amount":"1000"}', '{"amount":9007199254740992}', '{"amount":null}', "null", "[]"])(
    "%s is refused as a wrong amount",
    async (body) => {
      const answer = await post("points.charge", body, "wrong", await shop.newUser())
      expect(answer).toMatchObject({ error: { data: { domain: { _tag: "InvalidInput" } } } })
    }
  )

  // Guarantees: a version that lists the properties in another order knows the retries of this one.
  test("the order of properties has no meaning", async () => {
    const call = {
      input: { amount: 1_000 },
      caller: undefined as never,
      request: {
        requestId: "1",
        address: "127.0.0.1",
        userAgent: "",
        idempotencyKey: "order",
        lastEventId: undefined
      }
    }
    const fingerprintOf = (identity: unknown) =>
      shop.servers[0].runtime.runPromise(
        idempotencyKeyOf(contract.points.charge, "points.charge", call, identity)
      )
    const [one, other, wrong] = await Promise.all([
      fingerprintOf({ a: 1, b: [{ c: 2, d: 3 }] }),
      fingerprintOf({ b: [{ d: 3, c: 2 }], a: 1 }),
      fingerprintOf({ b: [{ d: 2, c: 3 }], a: 1 })
    ])
    expect(one!.row).toEqual(other!.row)
    expect(one!.row).not.toEqual(wrong!.row)
  })

  // Guarantees: a retry that ends after a deployment finds the answer that the former version stored.
  test("an answer under a fingerprint of version 0.1 is repeated", async () => {
    const user = await shop.newUser()
    const charge = { idempotencyKey: "former", token: user.token }
    const charged = await shop.ok(contract.points.charge, { amount: 1_000 }, charge)
    const former = createHmac("sha256", TEST_SECRET).update('points.charge\n{"amount":1000}').digest()
    await shop.sql.query("UPDATE idempotency_keys SET fingerprint = ? WHERE idempotency_key = 'former'", [
      former
    ])
    expect(await shop.ok(contract.points.charge, { amount: 1_000 }, charge)).toEqual(charged)
    expect(await shop.call(contract.points.charge, { amount: 2_000 }, charge)).toMatchObject({
      tag: "IdempotencyKeyReused"
    })
  })

  test("campaigns: the same moment in two offsets is one request", async () => {
    const campaign = {
      name: "Spring",
      discount: { kind: "fixed" as const, amountMinor: 500 },
      minimumOrderMinor: 1_000,
      quantity: 5,
      startsAt: "2026-01-01T09:00:00+09:00",
      endsAt: "2027-01-01T00:00:00Z",
      validDays: 30
    }
    const options = { ...shop.admin, idempotencyKey: "offset" }
    const made = await shop.ok(contract.admin.createCoupon, campaign, options)
    const again = { ...campaign, startsAt: "2026-01-01T00:00:00.000Z" }
    expect(await shop.ok(contract.admin.createCoupon, again, options)).toEqual(made)
    for (const startsAt of ["coupon 7", "12", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00"])
      expect(
        await shop.call(contract.admin.createCoupon, { ...campaign, startsAt }, shop.admin)
      ).toMatchObject({ status: 400, tag: "InvalidInput", error: { issues: [{ path: "startsAt" }] } })
  })
})
