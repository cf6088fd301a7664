import { type Access, contract, pathsOf, type Procedure } from "@holdfast/domain"
import { Schema } from "effect"
import { decodeJwt } from "jose"
import { beforeAll, describe, expect, test } from "vitest"
import { newCoupon } from "../test/sale.ts"
import { TEST_SECRET } from "../test/settings.ts"
import type { Shop, TestUser } from "../test/shop.ts"
import { keyIdOf, signedToken } from "../test/signed-tokens.ts"
import { subscribe } from "../test/subscribe.ts"
import { useShop } from "../test/use-shop.ts"

const procedures = [...pathsOf(contract)].map(([procedure, path]) => ({ path, procedure }))
const OTHER_SECRET = "a secret that no server of the tests has"

/** No procedure with fields takes a text for its input, so a call that is let in ends here, without an effect. */
const REFUSED_INPUT = "no input"
const LET_IN = "InvalidInput"

const unauthenticated = (reason: string) => `Unauthenticated: ${reason}`
const everybodyNeedsToken = {
  nobody: unauthenticated("missing"),
  junk: unauthenticated("malformed"),
  expired: unauthenticated("expired"),
  revoked: unauthenticated("invalid"),
  "signed with another secret": unauthenticated("invalid"),
  "signed with another secret under our key's id": unauthenticated("invalid"),
  "under an unknown key's id": unauthenticated("invalid"),
  "without a key's id": unauthenticated("invalid"),
  "not signed": unauthenticated("invalid"),
  "of another algorithm": unauthenticated("invalid"),
  "a refresh token": unauthenticated("invalid"),
  "a token of no session": unauthenticated("invalid"),
  "a token of another role": unauthenticated("invalid")
} as const

type Somebody = keyof typeof everybodyNeedsToken | "user" | "admin"

/** What each kind of access answers to whom. */
const expectations: Readonly<Record<Access, Readonly<Record<Somebody, string>>>> = {
  public: {
    ...(Object.fromEntries(Object.keys(everybodyNeedsToken).map((who) => [who, LET_IN])) as Record<
      keyof typeof everybodyNeedsToken,
      string
    >),
    user: LET_IN,
    admin: LET_IN
  },
  user: { ...everybodyNeedsToken, user: LET_IN, admin: LET_IN },
  admin: { ...everybodyNeedsToken, user: "Forbidden", admin: LET_IN }
}

describe("who may call what", () => {
  let shop: Shop
  let tokens: Readonly<Record<Somebody, string | undefined>>
  useShop({}, (opened) => (shop = opened))
  beforeAll(async () => {
    const user = await shop.newUser()
    const revoked = await shop.newUser()
    await shop.ok(contract.auth.logout, {}, revoked)
    const session = await shop.ok(contract.auth.login, { email: user.email, password: "a password" })
    const own = decodeJwt(user.token)
    const unsigned = (header: object) => signedToken(own, header).replace(/[^.]+$/, "AA")
    tokens = {
      nobody: undefined,
      junk: "junk",
      expired: signedToken({ ...own, exp: Math.floor(Date.now() / 1_000) - 60 }),
      revoked: revoked.token,
      "signed with another secret": signedToken(own, {}, OTHER_SECRET),
      "signed with another secret under our key's id": signedToken(
        own,
        { kid: keyIdOf(TEST_SECRET) },
        OTHER_SECRET
      ),
      "under an unknown key's id": signedToken(own, { kid: keyIdOf(OTHER_SECRET) }),
      "without a key's id": signedToken(own, { kid: undefined }),
      "not signed": unsigned({ alg: "none" }),
      "of another algorithm": signedToken(own, { alg: "HS512" }),
      "a refresh token": session.refreshToken,
      "a token of no session": signedToken({ ...own, sid: own.sub }),
      "a token of another role": signedToken({ ...own, role: "admin" }),
      user: user.token,
      admin: shop.admin.token
    }
  })

  /** The error of a call, with its reason where it has one. */
  const outcomeOf = async (procedure: Procedure, input: unknown, token: string | undefined) => {
    const described = (error: { readonly _tag?: string; readonly reason?: string } | undefined) =>
      error?.reason === undefined ? (error?._tag ?? "none") : `${error._tag}: ${error.reason}`
    if (procedure.kind !== "subscription") {
      const answer = await shop.call(procedure, input, { token })
      return answer.ok ? "none" : described({ _tag: answer.tag, ...answer.error })
    }
    const stream = subscribe(shop.servers[0].url, procedure, input, token)
    const event = await stream.next()
    stream.close()
    if (event?.event !== "serialized-error") return "none"
    return described((event.data as { readonly data: { readonly domain?: object } }).data.domain)
  }

  test.each(procedures)(
    "$path lets in whom the contract says, and nobody else",
    async ({ path, procedure }) => {
      const expected = expectations[procedure.access]
      expect(expected).toBeDefined()
      // An input without fields may be anything, so such a call succeeds.
      const letIn = Schema.is(procedure.input)(REFUSED_INPUT) ? "none" : LET_IN
      const own =
        path === "auth.logout" ? { user: (await shop.newUser()).token, admin: await adminToken() } : {}
      for (const [who, token] of Object.entries({ ...tokens, ...own })) {
        const answer = expected[who as Somebody]
        expect([who, await outcomeOf(procedure, REFUSED_INPUT, token)]).toEqual([
          who,
          answer === LET_IN ? letIn : answer
        ])
      }
    }
  )

  const adminToken = async () =>
    (await shop.ok(contract.auth.login, { email: shop.admin.email, password: "the admin's password" }))
      .accessToken

  /** What belongs to somebody, and what anybody else is told who asks for it by its id. */
  const ownedThings = async (): Promise<
    Readonly<Record<string, readonly [input: unknown, refusal: string]>>
  > => {
    const owner: TestUser = await shop.newUser(10_000)
    const sku = await shop.newProduct("owned", 10)
    const { id: orderId } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, owner)
    const { id: couponId } = await newCoupon(shop, { quantity: 5 })
    const { id: ticketId } = await shop.ok(contract.coupons.requestIssue, { couponId }, owner)
    const buyer = await shop.newUser()
    const { id: userCouponId } = await shop.ok(contract.coupons.issue, { couponId }, buyer)
    return {
      "orders.create": [{ lines: [{ sku, quantity: 1 }], userCouponId }, "UserCouponNotFound"],
      "orders.get": [{ orderId }, "OrderNotFound"],
      "orders.cancel": [{ orderId }, "OrderNotFound"],
      "orders.watch": [{ orderId }, "OrderNotFound"],
      "payments.process": [{ orderId }, "OrderNotFound"],
      "payments.get": [{ orderId }, "OrderNotFound"],
      "coupons.ticket": [{ ticketId }, "TicketNotFound"],
      "coupons.watchTicket": [{ ticketId }, "TicketNotFound"],
      "auth.revokeSession": [{ sessionId: decodeJwt(owner.token)["sid"] }, "SessionNotFound"]
    }
  }

  /** Procedures that name nothing of anybody: whose things they are about follows from the token alone. */
  const BY_TOKEN = new Set([
    "auth.me",
    "auth.logout",
    "auth.sessions",
    "auth.changePassword",
    "points.balance",
    "points.charge",
    "points.history",
    "coupons.issue",
    "coupons.mine",
    "coupons.requestIssue",
    "orders.page"
  ])

  test("what belongs to one user does not exist for another", async () => {
    const owned = await ownedThings()
    const stranger = await shop.newUser()
    for (const { path, procedure } of procedures) {
      if (procedure.access !== "user" || BY_TOKEN.has(path)) continue
      expect(owned, `${path} has no expectation`).toHaveProperty([path])
      const [input, refusal] = owned[path]!
      expect([path, await outcomeOf(procedure, input, stranger.token)]).toEqual([path, refusal])
    }
  })
})
