import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { setTimeout } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startPrivateRedis } from "../../../test/private-redis.ts"
import type { Answer } from "../../../test/raw-client.ts"
import { testHttpSettings } from "../../../test/settings.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"

const http = { ...testHttpSettings, trustedProxies: "127.0.0.1" }
const logins = { wrongPasswords: 10, wrongPasswordsOfAddress: 25, windowMs: 900_000 }
const from = (address: string) => ({ headers: { "x-forwarded-for": address } })

/** How long a refused caller is told to wait; 0 for others. */
const waitMsOf = (answer: Answer<typeof contract.auth.login>) =>
  answer.ok ? 0 : Number(answer.error["retryAfterMs"] ?? 0)

describe("wrong passwords", () => {
  let shop: Shop
  let owners: ReadonlyArray<TestUser>
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2, settings: { http, logins } })
    owners = await shop.newUsers(6)
  })
  afterAll(() => shop.stop())

  const logIn = (email: string, password: string, address: string) =>
    shop.call(contract.auth.login, { email, password }, from(address))
  const guess = (email: string, address: string) => logIn(email, "a wrong password", address)
  const tags = (answers: ReadonlyArray<{ ok: boolean; tag?: string }>) =>
    answers.map((answer) => (answer.ok ? "in" : answer.tag))

  /** What the audit trail says of the refused logins of a user or an address. */
  const refusedLoginsOf = async (subject: string) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket & { address: string; state_after: string }>>(
      "SELECT address, state_after FROM audit_trail WHERE procedure_path = 'logins refused' AND subject = ?",
      [subject]
    )
    return rows.map((row) => ({ address: row.address, after: JSON.parse(row.state_after) as unknown }))
  }

  // Guarantees: over all processes, exactly ten wrong passwords for an account are compared, and the trail has them once.
  test.each(["an account", "no account"])(
    "50 guesses of %s race on two servers: ten are tried",
    async (whose) => {
      const email = whose === "an account" ? owners[0]!.email : "nobody@shop.test"
      const result = await race(50, () =>
        shop.ok(contract.auth.login, { email, password: "a wrong password" }, from("10.0.0.1"))
      )
      expectExactly(result, 10, "InvalidCredentials")
      expectExactly(result, 40, "RateLimited")
      const subject = whose === "an account" ? `user:${owners[0]!.id}` : "user:unknown"
      const after = { limit: "wrong-passwords", refused: 10, withinMs: logins.windowMs }
      expect(await refusedLoginsOf(subject)).toEqual([{ address: "10.0.0.1", after }])
    }
  )

  // Guarantees: strangers together get ten attempts, and cannot keep the owner out of an address that was used before.
  test("strangers from 40 addresses get ten guesses; the owner gets in where the account is known", async () => {
    const { email } = owners[1]!
    expect(tags([await logIn(email, "a password", "10.1.0.1")])).toEqual(["in"])
    const result = await race(40, (stranger) =>
      shop.ok(contract.auth.login, { email, password: "a wrong password" }, from(`10.2.0.${stranger}`))
    )
    expectExactly(result, 10, "InvalidCredentials")
    expectExactly(result, 30, "RateLimited")
    expect(tags([await logIn(email, "a password", "10.1.0.1")])).toEqual(["in"])
    const elsewhere = await logIn(email, "a password", "10.3.0.1")
    expect(elsewhere).toMatchObject({ status: 429, tag: "RateLimited", error: { limit: "wrong-passwords" } })
    expect(waitMsOf(elsewhere)).toBeGreaterThan(0)
    expect(waitMsOf(elsewhere)).toBeLessThanOrEqual(logins.windowMs)
  })

  test("right passwords use up nothing", async () => {
    const { email } = owners[2]!
    for (let n = 0; n < 9; n += 1) await guess(email, "10.4.0.1")
    for (let n = 0; n < 15; n += 1)
      expect(tags([await logIn(email, "a password", "10.4.0.1")])).toEqual(["in"])
    expect(tags([await guess(email, "10.4.0.1"), await guess(email, "10.4.0.1")])).toEqual([
      "InvalidCredentials",
      "RateLimited"
    ])
  })

  // Guarantees: who tries one password at many accounts is stopped as well, and a login of their own changes nothing.
  test("an address gets 25 wrong passwords for all accounts together", async () => {
    const own = owners[3]!.email
    const result = await race(60, (account) =>
      shop.ok(
        contract.auth.login,
        { email: `victim-${account}@shop.test`, password: "a wrong password" },
        from("10.5.0.1")
      )
    )
    expectExactly(result, 25, "InvalidCredentials")
    expectExactly(result, 35, "RateLimited")
    const after = { limit: "wrong-passwords-of-address", refused: 25, withinMs: logins.windowMs }
    expect(await refusedLoginsOf("address:10.5.0.1")).toEqual([{ address: "10.5.0.1", after }])
    expect(await logIn(own, "a password", "10.5.0.1")).toMatchObject({
      error: { limit: "wrong-passwords-of-address" }
    })
    expect(tags([await logIn(own, "a password", "10.5.0.2")])).toEqual(["in"])
  })
})

// Guarantees: logins that come at once wait for each other instead of the window's end, and use up nothing.
test("40 right passwords of one account at once all get in; then ten wrong ones are compared", async () => {
  // So slow that ten are compared before the first is done.
  const argon2 = { memoryKib: 8_192, iterations: 8 }
  await using shop = await Shop.open({ settings: { http, logins, argon2 } })
  const { email } = await shop.newUser()
  const logIn = (password: string) => shop.ok(contract.auth.login, { email, password }, from("10.0.0.1"))
  // From an address that is known, so that all of them count for the same.
  await logIn("a password")
  expectExactly(await race(40, () => logIn("a password")), 40)
  const guesses = await race(30, () => logIn("a wrong password"))
  expectExactly(guesses, 10, "InvalidCredentials")
  expectExactly(guesses, 20, "RateLimited")
})

test("the attempts come back when the window ends", async () => {
  await using shop = await Shop.open({
    settings: { http, logins: { ...logins, wrongPasswords: 1, windowMs: 3_000 } }
  })
  const { email } = await shop.newUser()
  const guess = () =>
    shop.call(contract.auth.login, { email, password: "a wrong password" }, from("10.0.0.1"))
  await guess()
  let answer = await guess()
  expect(answer).toMatchObject({ tag: "RateLimited" })
  // The windows of the strangers and of the address begin one after the other.
  for (let window = 0; window < 2 && waitMsOf(answer) > 0; window += 1) {
    await setTimeout(waitMsOf(answer))
    answer = await guess()
  }
  expect(answer).toMatchObject({ tag: "InvalidCredentials" })
})

test("without Redis a process bounds the guesses, and knows the addresses of its own logins", async () => {
  await using redis = await startPrivateRedis()
  await using shop = await Shop.open({ redisUrl: redis.url, settings: { http, logins } })
  const { email } = await shop.newUser()
  const logIn = (password: string, address: string) =>
    shop.call(contract.auth.login, { email, password }, from(address))
  await logIn("a password", "10.0.0.1")
  await redis.service.kill()
  const answers = []
  for (let n = 0; n < 15; n += 1) answers.push(await logIn("a wrong password", `10.0.1.${n}`))
  expect(answers.filter((answer) => !answer.ok && answer.tag === "InvalidCredentials")).toHaveLength(10)
  expect(await logIn("a password", "10.0.0.1")).toMatchObject({ ok: true })
  expect(await logIn("a password", "10.0.0.2")).toMatchObject({ tag: "RateLimited" })
})
