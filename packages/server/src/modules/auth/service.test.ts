import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { decodeJwt } from "jose"
import type { RowDataPacket } from "mysql2"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import { Passwords } from "./passwords.ts"
import { ensureAdmin } from "./service.ts"
import { TEST_SECRET } from "../../../test/settings.ts"
import { Shop } from "../../../test/shop.ts"
import { keyIdOf, signedToken } from "../../../test/signed-tokens.ts"
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

  // Guarantees: a password is the same however a keyboard composes it.
  test("a password is normalised: combining characters and other blanks open the same account", async () => {
    const email = "jose\u0301@b\u00FCcher.example"
    const user = await shop.ok(contract.auth.register, { email, password: "cafe\u0301 au lait" })
    expect(user.email).toBe("josé@xn--bcher-kva.example")
    for (const password of ["caf\u00E9 au lait", "cafe\u0301\u00A0au\u3000lait"]) {
      const session = await shop.ok(contract.auth.login, {
        email: "JOS\u00C9@BU\u0308CHER.example.",
        password
      })
      expect(session.user.id).toBe(user.id)
    }
    const other = await shop.call(contract.auth.login, { email, password: "cafe au lait" })
    expect(other).toMatchObject({ tag: "InvalidCredentials" })
  })

  test("a password that guessers try first is refused wherever one is chosen, by the name of its field", async () => {
    const weak = (field: string) => ({ _tag: "InvalidInput", issues: [{ path: field }] })
    const refused = await shop.call(contract.auth.register, { email: "eve@x.test", password: "Password123!" })
    expect(refused).toMatchObject({ status: 400, error: weak("password") })
    const { runPromise } = shop.servers[0].runtime
    await expect(runPromise(ensureAdmin("chief@x.test", "qwertyuiop"))).rejects.toMatchObject(
      weak("password")
    )
    const { email, token } = await shop.newUser()
    const change = { currentPassword: "a password", newPassword: "12345678" }
    const unchanged = await shop.call(contract.auth.changePassword, change, {
      token,
      idempotencyKey: crypto.randomUUID()
    })
    expect(unchanged).toMatchObject({ status: 400, error: weak("newPassword") })
    await shop.ok(contract.auth.login, { email, password: "a password" })
  })

  // Guarantees: nobody is locked out by the rule that new passwords follow.
  test("a hash of a password as it was typed, control characters included, still opens its account", async () => {
    const { runPromise } = shop.servers[0].runtime
    const typed = "old cafe\u0301\u0007\u200B"
    const user = await shop.ok(contract.auth.register, { email: "old@example.com", password: "a password" })
    const passwordHash = await runPromise(Passwords.use((passwords) => passwords.hash(typed, "here")))
    await shop.sql.query("UPDATE users SET password_hash = ? WHERE email = 'old@example.com'", [passwordHash])
    const login = (password: string) => shop.call(contract.auth.login, { email: "old@example.com", password })
    expect(await login(typed)).toMatchObject({ ok: true, value: { user: { id: user.id } } })
    expect(await login(typed.slice(0, -1))).toMatchObject({ tag: "InvalidCredentials" })
  })

  test("an administrator's e-mail is normalised as in a sign-up, and a wrong one is refused by name", async () => {
    const { runPromise } = shop.servers[0].runtime
    await runPromise(ensureAdmin(" Boss@Example.COM", "a password"))
    const session = await shop.ok(contract.auth.login, { email: "boss@example.com", password: "a password" })
    expect(session.user.role).toBe("admin")
    await expect(runPromise(ensureAdmin("boss", "a password"))).rejects.toMatchObject({
      _tag: "InvalidInput",
      issues: [{ path: "email" }]
    })
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
    const make = (length: number) => signedToken({ ...decodeJwt(user.token), more: "x".repeat(length) })
    const ask = (length: number) => shop.call(contract.auth.me, {}, { token: make(length) })
    expect(await ask(100)).toMatchObject({ ok: true })
    expect(await ask(5_000)).toMatchObject({ status: 401, error: { reason: "malformed" } })
  })

  test("a token that expired, one with a changed role and one of another secret are refused", async () => {
    const user = await shop.newUser()
    const own = decodeJwt(user.token)
    const refusal = async (token: string) =>
      (await shop.call(contract.auth.me, {}, { token })) as { error?: { reason?: string } }
    const expired = signedToken({ ...own, exp: Math.floor(Date.now() / 1_000) - 5 })
    expect(await refusal(expired)).toMatchObject({ error: { reason: "expired" } })
    for (const token of [
      signedToken({ ...own, role: "admin" }),
      signedToken(own, {}, "another secret, of 32 characters as well"),
      signedToken(own, { kid: keyIdOf(TEST_SECRET) }, "another secret, of 32 characters as well")
    ])
      expect(await refusal(token)).toMatchObject({ error: { reason: "invalid" } })
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
    [{ email: "ok@example.com", password: "" }, "password"],
    [{ email: "ok@example.com", password: "a pass\0word" }, "password"],
    [{ email: "ok@example.com", password: "a password\uD800" }, "password"],
    [{ email: "ok@exa\u200Bmple.com", password: "a password" }, "email"],
    [{ email: "o\u202Ek@example.com", password: "a password" }, "email"],
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
    await shop.ok(contract.coupons.issue, { couponId }, await shop.newUser())
    await shop.ok(contract.auth.me, {}, user)
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
    expect(await issuedOf(shop, couponId)).toBe(1)
    expect(await gateOf(shop, couponId)).toEqual({ free: 4, reserved: 0 })
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
      { timeoutMs: 8_000 }
    )
  })
})
