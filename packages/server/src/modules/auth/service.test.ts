import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Redacted } from "effect"
import { decodeJwt, SignJWT } from "jose"
import type { RowDataPacket } from "mysql2"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import { Shop, testSettings } from "../../../test/shop.ts"
import { gateOf, issuedOf, newCoupon } from "../../../test/sale.ts"

describe("sign-up, login and tokens", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open()
  })
  afterAll(() => shop.stop())

  test("an e-mail is normalised: other capitals and outer blanks are the same person", async () => {
    const user = await shop.ok(contract.auth.register, {
      email: "  Ann@Example.COM ",
      password: "a password"
    })
    expect(user).toMatchObject({ email: "ann@example.com", role: "user" })
    const again = await shop.call(contract.auth.register, {
      email: "ann@example.com",
      password: "another one"
    })
    expect(again).toMatchObject({
      ok: false,
      tag: "EmailTaken",
      status: 409,
      error: { email: "ann@example.com" }
    })
    const session = await shop.ok(contract.auth.login, { email: "ANN@example.com", password: "a password" })
    expect(session.user.id).toBe(user.id)
  })

  test("the password is stored as an argon2id hash and nowhere in clear", async () => {
    const password = "correct horse battery staple"
    const options = { idempotencyKey: "hash-test" }
    await shop.ok(contract.auth.register, { email: "hash@example.com", password }, options)
    const [users] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT password_hash FROM users WHERE email = 'hash@example.com'"
    )
    expect(users[0]?.["password_hash"]).toMatch(/^\$argon2id\$v=19\$/)
    const [keys] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT answer FROM idempotency_keys WHERE idempotency_key = 'hash-test'"
    )
    expect(JSON.stringify(keys)).not.toContain(password)
    expect(keys).toHaveLength(1)
  })

  test("a wrong password and an unknown e-mail get the same answer", async () => {
    await shop.ok(contract.auth.register, { email: "bob@example.com", password: "a password" })
    const wrong = await shop.call(contract.auth.login, { email: "bob@example.com", password: "not this one" })
    const unknown = await shop.call(contract.auth.login, {
      email: "nobody@example.com",
      password: "a password"
    })
    expect(wrong).toMatchObject({ ok: false, tag: "InvalidCredentials", status: 401 })
    expect(unknown).toMatchObject({ ok: false, tag: "InvalidCredentials", status: 401 })
  })

  test("a refresh token makes a new session, an access token does not", async () => {
    const user = await shop.newUser()
    const session = await shop.ok(contract.auth.login, { email: user.email, password: "a password" })
    const refreshed = await shop.ok(contract.auth.refresh, { refreshToken: session.refreshToken })
    expect(await shop.ok(contract.auth.me, {}, { token: refreshed.accessToken })).toMatchObject({
      id: user.id
    })
    const swapped = await shop.call(contract.auth.refresh, { refreshToken: session.accessToken })
    expect(swapped).toMatchObject({ tag: "Unauthenticated", error: { reason: "invalid" } })
    const asAccess = await shop.call(contract.auth.me, {}, { token: session.refreshToken })
    expect(asAccess).toMatchObject({ tag: "Unauthenticated", error: { reason: "invalid" } })
  })

  test.each([
    ["no token", undefined, "missing"],
    ["no JWT at all", "rubbish", "malformed"],
    ["three parts of rubbish", "a.b.c", "malformed"]
  ])("%s: Unauthenticated says so", async (_name, token, reason) => {
    expect(await shop.call(contract.auth.me, {}, { token })).toMatchObject({
      ok: false,
      status: 401,
      tag: "Unauthenticated",
      error: { reason }
    })
  })

  // Guarantees: the tokens that a process remembers take 10 MB at most.
  test("a token that is longer than any of ours is refused, even rightly signed", async () => {
    const user = await shop.newUser()
    const key = new TextEncoder().encode(Redacted.value(testSettings("", "").secret))
    const make = (length: number) =>
      new SignJWT({ role: "user", more: "x".repeat(length) })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setSubject(user.id)
        .setIssuer("holdfast")
        .setAudience("access")
        .setExpirationTime("1 h")
        .sign(key)
    const ask = async (length: number) => shop.call(contract.auth.me, {}, { token: await make(length) })
    expect(await ask(100)).toMatchObject({ ok: true })
    expect(await ask(5_000)).toMatchObject({ status: 401, error: { reason: "malformed" } })
  })

  test("a token that expired, one with a changed role and one of another secret are refused", async () => {
    const user = await shop.newUser()
    const secret = new TextEncoder().encode(Redacted.value(testSettings("", "").secret))
    const make = (role: string, key: Uint8Array, expires: string) =>
      new SignJWT({ role })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setSubject(user.id)
        .setIssuer("holdfast")
        .setAudience("access")
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key)
    const refusal = async (token: string) =>
      (await shop.call(contract.auth.me, {}, { token })) as { error?: { reason?: string } }
    expect(await refusal(await make("user", secret, "-1 s"))).toMatchObject({ error: { reason: "expired" } })
    expect(await refusal(await make("user", new Uint8Array(32).fill(1), "1 h"))).toMatchObject({
      error: { reason: "invalid" }
    })
    const [header, payload, signature] = user.token.split(".") as [string, string, string]
    const promoted = Buffer.from(JSON.stringify({ ...decodeJwt(user.token), role: "admin" })).toString(
      "base64url"
    )
    expect(payload).not.toBe(promoted)
    expect(await refusal(`${header}.${promoted}.${signature}`)).toMatchObject({
      error: { reason: "invalid" }
    })
  })

  test.each([
    [{ email: "no-at-sign", password: "a password" }, "email"],
    [{ email: "a@b", password: "a password" }, "email"],
    [{ email: `${"x".repeat(250)}@a.bc`, password: "a password" }, "email"],
    [{ email: "ok@example.com", password: "short" }, "password"],
    [{ email: "ok@example.com", password: "x".repeat(257) }, "password"],
    [{ email: "ok@example.com" }, "password"],
    [{ email: 7, password: "a password" }, "email"]
  ])("bad input %j names the field %s and makes no user", async (input, path) => {
    const answer = await shop.call(contract.auth.register, input as never)
    expect(answer).toMatchObject({
      ok: false,
      status: 400,
      tag: "InvalidInput",
      error: { issues: [{ path }] }
    })
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT id FROM users WHERE email LIKE 'ok@%'")
    expect(rows).toEqual([])
  })

  test("an unreadable idempotency key is refused before anything happens", async () => {
    const answer = await shop.call(
      contract.auth.register,
      { email: "key@example.com", password: "a password" },
      { idempotencyKey: "a key with blanks" }
    )
    expect(answer).toMatchObject({ tag: "InvalidInput", error: { issues: [{ path: "idempotency-key" }] } })
  })
})

describe("access tokens", () => {
  // Guarantees: who was deleted is told to log in again, whatever they ask for; nothing of them comes to be again.
  test("a valid token of a deleted user is refused as one that is out of date, and nothing is left behind", async () => {
    await using shop = await Shop.open()
    const user = await shop.newUser()
    const sku = await shop.newProduct("tea", 10)
    const { id: couponId } = await newCoupon(shop, { quantity: 5 })
    await shop.sql.query("DELETE FROM point_accounts WHERE user_id = ?", [bytesOf(user.id)])
    await shop.sql.query("DELETE FROM users WHERE id = ?", [bytesOf(user.id)])
    const refused = { ok: false, status: 401, tag: "Unauthenticated", error: { reason: "invalid" } }
    const asked = [
      shop.call(contract.auth.me, {}, user),
      shop.call(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user),
      shop.call(contract.coupons.issue, { couponId }, user),
      shop.call(contract.points.charge, { amount: 1_000 }, user)
    ]
    for (const answer of await Promise.all(asked)) expect(answer).toMatchObject(refused)
    expect(await shop.stockOf(sku)).toBe(10)
    expect(await issuedOf(shop, couponId)).toBe(0)
    expect(await gateOf(shop, couponId)).toEqual({ free: 5, reserved: 0 })
    await shop.expectRightBooks()
  })

  // Guarantees: remembering a good token does not make it live longer.
  test("a token that was used before is refused once it expired", async () => {
    await using shop = await Shop.open({ settings: { accessTokenMs: 2_000 } })
    const user = await shop.newUser()
    await shop.ok(contract.auth.me, {}, user)
    await eventually(
      async () =>
        expect(await shop.call(contract.auth.me, {}, user)).toMatchObject({ error: { reason: "expired" } }),
      { deadlineMs: 8_000 }
    )
  })
})
