import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { hash } from "@node-rs/argon2"
import { decodeJwt } from "jose"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../../platform/db/ids.ts"
import type { Shop } from "../../../../test/shop.ts"
import { useShop } from "../../../../test/use-shop.ts"
import { setBlocked } from "../administration.ts"

const unauthenticated = { ok: false, status: 401, tag: "Unauthenticated" }

describe("sessions under races", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const logIn = (email: string, password = "a password") => shop.ok(contract.auth.login, { email, password })
  const idOf = (token: string) => decodeJwt(token)["sid"] as string
  const rowOf = async (token: string) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT generation, ended_at AS endedAt FROM user_sessions WHERE id = ?",
      [bytesOf(idOf(token))]
    )
    return rows[0]! as unknown as { readonly generation: number; readonly endedAt: Date | null }
  }

  // Guarantees: however many tabs refresh at the same moment, all go on, with one successor.
  test("20 refreshes of one token at once: 20 working answers of one next generation", async () => {
    const { email } = await shop.newUser()
    const { accessToken, refreshToken } = await logIn(email)
    const result = await race(20, () => shop.ok(contract.auth.refresh, { refreshToken }))
    expectExactly(result, 20)
    const answers = result.fulfilled.map(({ value }) => value)
    expect(answers.map((answer) => decodeJwt(answer.refreshToken)["gen"])).toEqual(Array(20).fill(2))
    expect(await rowOf(accessToken)).toEqual({ generation: 2, endedAt: null })
    for (const answer of answers.slice(0, 4))
      await shop.ok(contract.auth.me, {}, { token: answer.accessToken })
    const next = await race(2, (tab) =>
      shop.ok(contract.auth.refresh, { refreshToken: answers[tab]!.refreshToken })
    )
    expectExactly(next, 2)
    expect(await rowOf(accessToken)).toEqual({ generation: 3, endedAt: null })
  })

  // Guarantees: of a thief and an owner who use one old token at once, neither goes on.
  test("10 uses of a token after its grace, and of its successor: the session has ended", async () => {
    const { email } = await shop.newUser()
    const { accessToken, refreshToken } = await logIn(email)
    const next = await shop.ok(contract.auth.refresh, { refreshToken })
    await shop.sql.query(
      "UPDATE user_sessions SET last_used_at = last_used_at - INTERVAL 1 MINUTE WHERE id = ?",
      [bytesOf(idOf(accessToken))]
    )
    const result = await race(11, (caller) =>
      shop.ok(contract.auth.refresh, { refreshToken: caller === 10 ? next.refreshToken : refreshToken })
    )
    // The successor may have come first. The old token is two generations late then.
    expect(result.fulfilled.length).toBeLessThanOrEqual(1)
    expect((await rowOf(accessToken)).endedAt).not.toBeNull()
    for (const { value } of result.fulfilled)
      expect(await shop.call(contract.auth.refresh, { refreshToken: value.refreshToken })).toMatchObject(
        unauthenticated
      )
  })

  // Guarantees: a revoked session stays revoked, whatever refreshes it at that moment.
  test("a refresh against a revocation: whichever comes first, nothing of the session is left", async () => {
    const { email, token } = await shop.newUser()
    const sessions = await Promise.all(Array.from({ length: 8 }, () => logIn(email)))
    const result = await race(16, async (caller) => {
      const { accessToken, refreshToken } = sessions[caller >> 1]!
      if (caller % 2 === 1) return shop.call(contract.auth.refresh, { refreshToken })
      await shop.ok(contract.auth.revokeSession, { sessionId: idOf(accessToken) }, { token })
      return undefined
    })
    expectExactly(result, 16)
    for (const { accessToken } of sessions) expect((await rowOf(accessToken)).endedAt).not.toBeNull()
    const refreshed = result.fulfilled.flatMap(({ value }) => (value?.ok === true ? [value.value] : []))
    for (const { accessToken, refreshToken } of refreshed) {
      expect(await shop.call(contract.auth.refresh, { refreshToken })).toMatchObject(unauthenticated)
      for (let server = 0; server < 2; server += 1)
        await eventually(
          async () =>
            expect(await shop.call(contract.auth.me, {}, { token: accessToken })).toMatchObject(
              unauthenticated
            ),
          { timeoutMs: 5_000 }
        )
    }
  })

  /** Calls again and again, on both servers, until each has refused. Returns when the last call began that was not. */
  const callUntilRefused = async (call: () => Promise<{ readonly ok: boolean; readonly status: number }>) => {
    let lastAcceptedMs = 0
    let refusals = 0
    while (refusals < 4) {
      const startedAtMs = performance.now()
      const answer = await call()
      if (answer.ok) {
        lastAcceptedMs = startedAtMs
        refusals = 0
      } else {
        expect(answer.status).toBe(401)
        refusals += 1
      }
    }
    return lastAcceptedMs
  }

  // Guarantees: five seconds after a revocation nobody gets anything with its tokens, however busy they are.
  test("a revocation against use: no call that begins five seconds later is answered", async () => {
    const { email, token } = await shop.newUser()
    const { accessToken } = await logIn(email)
    await shop.ok(contract.auth.me, {}, { token: accessToken })
    const using = Promise.all(
      Array.from({ length: 4 }, () =>
        callUntilRefused(() => shop.call(contract.points.balance, {}, { token: accessToken }))
      )
    )
    await shop.ok(contract.auth.revokeSession, { sessionId: idOf(accessToken) }, { token })
    const revokedAtMs = performance.now()
    expect(Math.max(...(await using)) - revokedAtMs).toBeLessThan(5_000)
  })

  // Guarantees: a blocked user places no order that begins five seconds later, and the books stay right.
  test("a block against orders: none is placed five seconds later, and every unit is accounted for", async () => {
    const sku = await shop.newProduct("blocked", 100_000)
    const { email, token } = await shop.newUser()
    const ordering = Promise.all(
      [1, 2, 3, 4].map((quantity) =>
        callUntilRefused(() => shop.call(contract.orders.create, { lines: [{ sku, quantity }] }, { token }))
      )
    )
    expect(await shop.servers[0].runtime.runPromise(setBlocked(email, true))).toBe(true)
    const blockedAtMs = performance.now()
    expect(Math.max(...(await ordering)) - blockedAtMs).toBeLessThan(5_000)
  })

  // Guarantees: no login slips in beside a block: its session would outlive it.
  test("logins against a block: none of their sessions is open afterwards", async () => {
    const users = await shop.newUsers(4)
    const result = await race(24, async (caller): Promise<unknown> => {
      const { email } = users[caller % 4]!
      return caller < 4
        ? shop.servers[0].runtime.runPromise(setBlocked(email, true))
        : shop.call(contract.auth.login, { email, password: "a password" })
    })
    expectExactly(result, 24)
    const [open] = await shop.sql.query(
      "SELECT id FROM user_sessions WHERE ended_at IS NULL AND user_id IN (?)",
      [users.map(({ id }) => bytesOf(id))]
    )
    expect(open).toEqual([])
  })

  // Guarantees: of two who change one password at once, one succeeds, and only theirs logs in.
  test("10 changes of one password at once: one is made, nine are refused, one session is left", async () => {
    const { email, id } = await shop.newUser()
    const sessions = await Promise.all(Array.from({ length: 10 }, () => logIn(email)))
    const result = await race(10, async (caller) => {
      const { accessToken: token } = sessions[caller]!
      const newPassword = `the password of ${caller}`
      await shop.ok(contract.auth.changePassword, { currentPassword: "a password", newPassword }, { token })
      return { newPassword, token }
    })
    expectExactly(result, 1)
    // The winner has ended the session of whoever comes late enough.
    const tags = new Set(result.rejected.map(({ reason }) => (reason as { readonly _tag: string })._tag))
    expect([...tags].filter((tag) => !["InvalidCredentials", "Unauthenticated"].includes(tag))).toEqual([])
    const { newPassword, token } = result.fulfilled[0]!.value
    const [open] = await shop.sql.query(
      "SELECT id FROM user_sessions WHERE ended_at IS NULL AND user_id = ?",
      [bytesOf(id)]
    )
    expect(open).toEqual([{ id: bytesOf(idOf(token)) }])
    await logIn(email, newPassword)
    expect(await shop.call(contract.auth.login, { email, password: "a password" })).toMatchObject({
      tag: "InvalidCredentials"
    })
  })

  // Guarantees: hashes are renewed at any number of logins at once, and none of them is refused for that.
  test("10 logins at once, all of which renew the hash: 10 sessions", async () => {
    const { email, id } = await shop.newUser()
    const stored = await hash("a password", { memoryCost: 16, timeCost: 1, parallelism: 1 })
    await shop.sql.query("UPDATE users SET password_hash = ? WHERE id = ?", [stored, bytesOf(id)])
    const result = await race(10, () => logIn(email))
    expectExactly(result, 10)
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT password_hash FROM users WHERE id = ?",
      [bytesOf(id)]
    )
    expect(rows[0]!["password_hash"]).toMatch(/^\$argon2id\$v=19\$m=8,t=1,p=1\$/)
    await logIn(email)
  })
})
