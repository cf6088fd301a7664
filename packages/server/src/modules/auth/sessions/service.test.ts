import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { decodeJwt } from "jose"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { bytesOf } from "../../../platform/db/ids.ts"
import { Shop } from "../../../../test/shop.ts"
import { giveRole, setBlocked } from "../administration.ts"
import { serverBehindProxy } from "../../../../test/behind-proxy.ts"
import { runJob } from "../../../../test/jobs.ts"
import { subscribe } from "../../../../test/subscribe.ts"
import { sessionCleaner } from "./cleaner.ts"

/** So long after its end nobody gets anything with the tokens of a session. */
const REVOKED_WITHIN_MS = 5_000

const unauthenticated = { ok: false, status: 401, tag: "Unauthenticated" }

describe("sessions", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2 })
  })
  afterAll(() => shop.stop())

  const logIn = (email: string, headers: Record<string, string> = {}) =>
    shop.ok(contract.auth.login, { email, password: "a password" }, { headers })
  const sessionIdOf = (token: string) => decodeJwt(token)["sid"] as string
  const refresh = (refreshToken: string) => shop.call(contract.auth.refresh, { refreshToken })
  /** Lets the grace for a refresh token that was used twice be over. */
  const passGrace = (token: string) =>
    shop.sql.query("UPDATE user_sessions SET last_used_at = last_used_at - INTERVAL 11 SECOND WHERE id = ?", [
      bytesOf(sessionIdOf(token))
    ])
  /** Both servers refuse the token soon. */
  const expectRefused = async (token: string) => {
    const startedAtMs = performance.now()
    for (let server = 0; server < 2; server += 1)
      await eventually(
        async () => expect(await shop.call(contract.auth.me, {}, { token })).toMatchObject(unauthenticated),
        { timeoutMs: REVOKED_WITHIN_MS }
      )
    expect(performance.now() - startedAtMs).toBeLessThan(REVOKED_WITHIN_MS)
  }
  /** Both servers have seen the token lately, and believe in it. */
  const use = async (token: string) => {
    for (let server = 0; server < 2; server += 1) await shop.ok(contract.auth.me, {}, { token })
  }

  test("a refresh answers the next generation of the same session; the access tokens of both are good", async () => {
    const { email } = await shop.newUser()
    const first = await logIn(email)
    const second = await shop.ok(contract.auth.refresh, { refreshToken: first.refreshToken })
    const third = await shop.ok(contract.auth.refresh, { refreshToken: second.refreshToken })
    expect(decodeJwt(third.refreshToken)).toMatchObject({ gen: 3, sid: sessionIdOf(first.accessToken) })
    expect(third.refreshExpiresAt).toBe(first.refreshExpiresAt)
    for (const { accessToken } of [first, second, third]) await use(accessToken)
  })

  // Guarantees: a reply that was lost is asked for again with the same token.
  test("a refresh token that is used again within the grace answers the same next generation", async () => {
    const { email } = await shop.newUser()
    const first = await logIn(email)
    const answers = [await refresh(first.refreshToken), await refresh(first.refreshToken)]
    for (const answer of answers) {
      if (!answer.ok) throw new Error(answer.body)
      expect(decodeJwt(answer.value.refreshToken)).toMatchObject({ gen: 2 })
    }
  })

  // Guarantees: whoever steals a refresh token loses it with its owner's next refresh, and the owner learns of it.
  test.each(["after the grace", "two generations later"])(
    "a refresh token that is used again %s ends its session, and no other of the user",
    async (when) => {
      const { email, token: other } = await shop.newUser()
      const stolen = await logIn(email)
      let latest = await shop.ok(contract.auth.refresh, { refreshToken: stolen.refreshToken })
      if (when === "after the grace") await passGrace(stolen.accessToken)
      else latest = await shop.ok(contract.auth.refresh, { refreshToken: latest.refreshToken })
      await use(latest.accessToken)
      expect(await refresh(stolen.refreshToken)).toMatchObject({
        ...unauthenticated,
        error: { reason: "invalid" }
      })
      expect(await refresh(latest.refreshToken)).toMatchObject(unauthenticated)
      await expectRefused(latest.accessToken)
      await use(other)
    }
  )

  test("a logout ends the session of its token; a second one is refused as well as a refresh", async () => {
    const { email } = await shop.newUser()
    const { accessToken: token, refreshToken } = await logIn(email)
    const { accessToken: other } = await logIn(email)
    await use(token)
    expect(await shop.ok(contract.auth.logout, {}, { token })).toEqual({})
    expect(await refresh(refreshToken)).toMatchObject(unauthenticated)
    await expectRefused(token)
    await use(other)
  })

  test("a user sees their own open sessions, newest first, in pages, and where they come from", async () => {
    const { email, id } = await shop.newUser()
    const agent = { "user-agent": `a browser \u00e9 ${"x".repeat(300)}` }
    const { accessToken: token } = await logIn(email, agent)
    const ended = await logIn(email)
    await shop.ok(contract.auth.logout, {}, { token: ended.accessToken })
    const expired = await logIn(email)
    await shop.sql.query("UPDATE user_sessions SET expires_at = UTC_TIMESTAMP(3) WHERE id = ?", [
      bytesOf(sessionIdOf(expired.accessToken))
    ])
    await shop.newUser()
    const first = await shop.ok(contract.auth.sessions, { limit: 1 }, { token })
    const { nextCursor } = first
    const rest = await shop.ok(contract.auth.sessions, { cursor: nextCursor! }, { token })
    const items = [...first.items, ...rest.items]
    expect(items).toMatchObject([
      { id: sessionIdOf(token), isCurrent: true, address: "127.0.0.1" },
      { isCurrent: false }
    ])
    expect(items[0]!.userAgent).toBe(agent["user-agent"].slice(0, 200))
    expect(id < items[1]!.id && items[1]!.id < items[0]!.id).toBe(true)
  })

  test("a user revokes a session of their own, twice if they like, and nobody else's", async () => {
    const { email, token } = await shop.newUser()
    const lost = await logIn(email)
    const stranger = await shop.newUser()
    const sessionId = sessionIdOf(lost.accessToken)
    await use(lost.accessToken)
    for (const caller of [stranger, shop.admin])
      expect(await shop.call(contract.auth.revokeSession, { sessionId }, caller)).toMatchObject({
        tag: "SessionNotFound",
        status: 404,
        error: { sessionId }
      })
    await use(lost.accessToken)
    await shop.ok(contract.auth.revokeSession, { sessionId }, { token })
    await shop.ok(contract.auth.revokeSession, { sessionId }, { token })
    await expectRefused(lost.accessToken)
    await use(token)
  })

  test("a changed password needs the current one, ends the other sessions, and is what logs in from then on", async () => {
    const { email, token } = await shop.newUser()
    const other = await logIn(email)
    await use(other.accessToken)
    const change = (currentPassword: string, newPassword: string, idempotencyKey: string) =>
      shop.call(contract.auth.changePassword, { currentPassword, newPassword }, { token, idempotencyKey })
    expect(await change("not the password", "the next password", "1")).toMatchObject({
      tag: "InvalidCredentials"
    })
    await use(other.accessToken)
    expect(await change("a password", "the next password", "2")).toMatchObject({ ok: true })
    // Its reply was lost, and it is sent again.
    expect(await change("a password", "the next password", "2")).toMatchObject({ ok: true, value: {} })
    expect(await change("a password", "yet another password", "2")).toMatchObject({
      tag: "IdempotencyKeyReused"
    })
    expect(await refresh(other.refreshToken)).toMatchObject(unauthenticated)
    await expectRefused(other.accessToken)
    await use(token)
    expect(await shop.call(contract.auth.login, { email, password: "a password" })).toMatchObject({
      tag: "InvalidCredentials"
    })
    await shop.ok(contract.auth.login, { email, password: "the next password" })
  })

  test.each(["blocked", "deleted"])("a user who is %s has no access within seconds", async (how) => {
    const { email, id, token } = await shop.newUser()
    const { refreshToken } = await logIn(email)
    await use(token)
    if (how === "blocked") await shop.servers[0].runtime.runPromise(setBlocked(email, true))
    else {
      await shop.sql.query("DELETE FROM point_accounts WHERE user_id = ?", [bytesOf(id)])
      await shop.sql.query("DELETE FROM users WHERE id = ?", [bytesOf(id)])
    }
    expect(await refresh(refreshToken)).toMatchObject(unauthenticated)
    expect(await shop.call(contract.auth.login, { email, password: "a password" })).toMatchObject({
      tag: "InvalidCredentials"
    })
    await expectRefused(token)
    if (how === "deleted") return
    await shop.servers[0].runtime.runPromise(setBlocked(email, false))
    expect(await refresh(refreshToken)).toMatchObject(unauthenticated)
    await use((await logIn(email)).accessToken)
  })

  // Guarantees: an administrator's power ends with the role, at once and on every server, however it was taken.
  test.each(["by a command", "by SQL"])("a role that is taken %s grants nothing any more", async (how) => {
    const { runPromise } = shop.servers[0].runtime
    const { email, id } = await shop.newUser()
    expect(await runPromise(giveRole(email, "admin"))).toBe(true)
    const { accessToken: token } = await logIn(email)
    const grant = () =>
      shop.call(contract.admin.grantPoints, { userId: id, amount: 1_000, reason: "mine" }, { token })
    expect([(await grant()).ok, (await grant()).ok]).toEqual([true, true])
    if (how === "by SQL") await shop.sql.query("UPDATE users SET role = 'user' WHERE id = ?", [bytesOf(id)])
    else expect(await runPromise(giveRole(email, "user"))).toBe(true)
    for (const answer of [await grant(), await grant()]) expect(answer).toMatchObject(unauthenticated)
    await expectRefused(token)
  })

  // Guarantees: whoever changes what a user may do is found afterwards, and a refused attempt leaves nothing.
  test("every change of access is in the audit trail, in the order in which it was made", async () => {
    const { email, id } = await shop.newUser()
    const { runPromise } = shop.servers[0].runtime
    const trail = async () => {
      const page = await shop.ok(contract.admin.auditTrail, { subject: `user:${id}`, limit: 50 }, shop.admin)
      return page.items.toReversed()
    }
    const before = await trail()
    const [first, second] = [await logIn(email), await logIn(email)]
    expect((await shop.call(contract.auth.login, { email, password: "not this one" })).ok).toBe(false)
    const token = first.accessToken
    await shop.ok(contract.auth.revokeSession, { sessionId: sessionIdOf(second.accessToken) }, { token })
    const next = await shop.ok(contract.auth.refresh, { refreshToken: first.refreshToken })
    await shop.ok(contract.auth.refresh, { refreshToken: next.refreshToken })
    expect((await refresh(first.refreshToken)).ok).toBe(false)
    const third = await logIn(email)
    await shop.ok(contract.auth.logout, {}, { token: third.accessToken })
    await runPromise(giveRole(email, "admin"))
    await runPromise(giveRole(email, "admin"))
    await runPromise(setBlocked(email, true))
    const entries = (await trail()).slice(before.length)
    expect(entries.map(({ actorId, procedure, sessionId }) => [procedure, actorId, sessionId])).toEqual([
      ["login", id, sessionIdOf(first.accessToken)],
      ["login", id, sessionIdOf(second.accessToken)],
      ["session revoked", id, sessionIdOf(second.accessToken)],
      ["refresh token reused", undefined, sessionIdOf(first.accessToken)],
      ["login", id, sessionIdOf(third.accessToken)],
      ["logout", id, sessionIdOf(third.accessToken)],
      ["role granted", undefined, undefined],
      ["user blocked", undefined, undefined]
    ])
    await shop.expectRightBooks()
  })

  test("a subscription ends with its session, and with its token, and says so", async () => {
    const sku = await shop.newProduct("watched", 10)
    const { email, token } = await shop.newUser()
    const { id: orderId } = await shop.ok(
      contract.orders.create,
      { lines: [{ sku, quantity: 1 }] },
      { token }
    )
    const { accessToken } = await logIn(email)
    const watching = subscribe(shop.servers[1]!.url, contract.orders.watch, { orderId }, accessToken)
    const kept = subscribe(shop.servers[1]!.url, contract.orders.watch, { orderId }, token)
    expect(await watching.next()).toMatchObject({ data: { status: "PENDING" } })
    expect(await kept.next()).toMatchObject({ data: { status: "PENDING" } })
    const startedAtMs = performance.now()
    await shop.ok(contract.auth.logout, {}, { token: accessToken })
    expect(await watching.all()).toMatchObject([
      {
        event: "serialized-error",
        data: { data: { domain: { _tag: "Unauthenticated", reason: "invalid" } } }
      }
    ])
    expect(performance.now() - startedAtMs).toBeLessThan(REVOKED_WITHIN_MS + 2_000)
    await shop.ok(contract.orders.cancel, { orderId }, { token })
    expect(await kept.next()).toMatchObject({ data: { status: "CANCELLED" } })
    kept.close()
  })

  test("sessions that expired or ended long ago are deleted; those of others and of yesterday stay", async () => {
    const { email, id } = await shop.newUser()
    const tokens = await Promise.all(Array.from({ length: 3 }, async () => (await logIn(email)).accessToken))
    const set = (token: string, change: string) =>
      shop.sql.query(`UPDATE user_sessions SET ${change} WHERE id = ?`, [bytesOf(sessionIdOf(token))])
    await set(tokens[0]!, "expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND")
    await set(tokens[1]!, "ended_at = UTC_TIMESTAMP(3) - INTERVAL 8 DAY")
    await set(tokens[2]!, "ended_at = UTC_TIMESTAMP(3) - INTERVAL 6 DAY")
    await runJob(shop.servers[0], sessionCleaner)
    const [rows] = await shop.sql.query("SELECT id FROM user_sessions WHERE user_id = ? ORDER BY id", [
      bytesOf(id)
    ])
    expect(rows).toMatchObject([{}, { id: bytesOf(sessionIdOf(tokens[2]!)) }])
    expect(rows).toHaveLength(2)
  })

  // Guarantees: who is not known to have a session gets nothing on trust, and is not logged out either.
  test("while the database is silent a caller is asked to come again, and then passes", async () => {
    const user = await shop.newUser()
    await using behind = await serverBehindProxy(shop, "mysql")
    behind.proxy.freeze()
    expect(await behind.call(contract.auth.me, {}, user)).toMatchObject({ tag: "ServiceUnavailable" })
    behind.proxy.thaw()
    await eventually(
      async () => expect(await behind.call(contract.auth.me, {}, user)).toMatchObject({ ok: true }),
      { timeoutMs: 10_000 }
    )
  })
})
