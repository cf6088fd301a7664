import { InvalidCredentials, type Session, Unauthenticated } from "@holdfast/domain"
import { expect, test } from "vitest"
import { createClient, memoryTokenStore } from "../index.ts"
import { failureOf } from "../testing/failure-of.ts"
import { encodedOrder, encodedProduct, encodedSession, orderInput } from "../testing/fixtures.ts"
import { startWireServer, type WireServer } from "../testing/wire-server.ts"

const auth = { email: "ann@example.com", password: "correct horse" }

/** A server with one valid access token at a time, which logging in and refreshing replace. */
const startSessionServer = async () => {
  let issued = 0
  let validRefreshToken = ""
  const state = { validToken: "" }
  const issue = () => {
    issued += 1
    state.validToken = `access-${issued}`
    validRefreshToken = `refresh-${issued}`
    return encodedSession(state.validToken, validRefreshToken)
  }
  const server = await startWireServer({
    "auth.login": ({ input }) => {
      if ((input as typeof auth).password !== auth.password) throw new InvalidCredentials({})
      return issue()
    },
    "auth.refresh": ({ input }) => {
      if ((input as { refreshToken: string }).refreshToken !== validRefreshToken)
        throw new Unauthenticated({ reason: "invalid" })
      return issue()
    },
    "orders.create": ({ token }) => {
      if (token !== state.validToken) throw new Unauthenticated({ reason: "expired" })
      return encodedOrder()
    },
    "points.balance": ({ token }) => {
      if (token !== state.validToken) throw new Unauthenticated({ reason: "expired" })
      return { balance: 5 }
    },
    "auth.logout": ({ token }) => {
      if (token !== state.validToken) throw new Unauthenticated({ reason: "expired" })
      state.validToken = "none"
      validRefreshToken = "none"
      return {}
    },
    "products.bySku": () => encodedProduct("TEA")
  })
  const expireAccess = () => (state.validToken = "none")
  const expireAll = () => {
    expireAccess()
    validRefreshToken = "none"
  }
  return { server, expireAccess, expireAll }
}

const count = ({ calls }: WireServer, procedure: string) =>
  calls.filter((call) => call.procedure === procedure).length

const manyOrders = (client: ReturnType<typeof createClient>) =>
  Promise.all(Array.from({ length: 50 }, () => client.orders.create(orderInput)))

test("concurrent calls share one login", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth })
  await manyOrders(client)
  await client.points.balance()
  expect(count(server, "auth.login")).toBe(1)
  expect(count(server, "orders.create")).toBe(50)
})

test("calls that are rejected together share one refresh and keep their keys", async () => {
  const { expireAccess, server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth })
  await client.orders.create(orderInput)
  expireAccess()
  await manyOrders(client)
  expect(count(server, "auth.refresh")).toBe(1)
  expect(count(server, "auth.login")).toBe(1)
  const keys = server.calls
    .filter(({ procedure }) => procedure === "orders.create")
    .map((call) => call.idempotencyKey)
  expect(keys.length).toBeGreaterThan(51)
  expect(new Set(keys).size).toBe(51)
})

test("the queries of one batch share one refresh", async () => {
  const { expireAccess, server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth })
  await client.points.balance()
  expireAccess()
  await Promise.all(Array.from({ length: 5 }, () => client.points.balance()))
  expect(count(server, "auth.refresh")).toBe(1)
})

test("the client logs in again when its refresh token is no longer valid", async () => {
  const { expireAll, server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth })
  await client.points.balance()
  expireAll()
  await manyOrders(client)
  expect(count(server, "auth.refresh")).toBe(1)
  expect(count(server, "auth.login")).toBe(2)
})

test("wrong credentials fail each call as unauthenticated, with an error of its own", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth: { ...auth, password: "wrong" } })
  const errors = await Promise.all([
    failureOf(client.orders.create(orderInput, { idempotencyKey: "one" })),
    failureOf(client.orders.create(orderInput, { idempotencyKey: "two" }))
  ])
  expect(count(server, "auth.login")).toBe(1)
  expect(errors[0]).toBeInstanceOf(Unauthenticated)
  expect(errors).toMatchObject([
    { reason: "invalid", idempotencyKey: "one", cause: { cause: { _tag: "InvalidCredentials" } } },
    { reason: "invalid", idempotencyKey: "two" }
  ])
})

test("a client without credentials acts as the user who logs in through it, until the session ends", async () => {
  const { expireAccess, expireAll, server } = await startSessionServer()
  await using _ = server
  const tokenStore = memoryTokenStore()
  const client = createClient({ url: server.url, tokenStore })
  expect(await failureOf(client.points.balance())).toMatchObject({
    _tag: "Unauthenticated",
    reason: "missing"
  })
  await client.auth.login(auth)
  expect(await client.points.balance()).toEqual({ balance: 5 })
  expireAccess()
  expect(await client.points.balance()).toEqual({ balance: 5 })
  expect(await tokenStore.load()).toMatchObject({ accessToken: "access-2" })
  expireAll()
  expect(await failureOf(client.points.balance())).toMatchObject({
    _tag: "Unauthenticated",
    reason: "expired"
  })
  expect(await tokenStore.load()).toBeUndefined()
})

test("a client acts as the user who logged in last, and as nobody after a logout", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  const tokenStore = memoryTokenStore()
  const client = createClient({ url: server.url, tokenStore })
  await client.auth.login(auth)
  await client.points.balance()
  await client.auth.login(auth)
  await client.points.balance()
  expect(server.calls.at(-1)).toMatchObject({ procedure: "points.balance", token: "access-2" })
  await client.auth.logout()
  expect(await tokenStore.load()).toBeUndefined()
  expect(await failureOf(client.points.balance())).toMatchObject({ reason: "missing" })
  expect(count(server, "auth.refresh")).toBe(0)
})

test("a client with credentials keeps its own session when another user logs in through it", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  const saved: Array<Session> = []
  const memory = memoryTokenStore()
  const tokenStore = { ...memory, save: (session: Session) => void saved.push(session) }
  await createClient({ url: server.url, auth, tokenStore }).auth.login(auth)
  expect(saved).toEqual([])
})

test("a token function is called again when its token is rejected, once per call", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  await createClient({ url: server.url }).auth.login(auth)
  const tokens = ["old", "access-1", "access-1"]
  const client = createClient({ url: server.url, token: async () => tokens.shift() })
  expect(await client.points.balance()).toEqual({ balance: 5 })
  const stubborn = createClient({ url: server.url, token: "old" })
  expect(await failureOf(stubborn.points.balance())).toMatchObject({ _tag: "Unauthenticated", attempts: 1 })
  let asked = 0
  const restless = createClient({ url: server.url, token: () => `t${(asked += 1)}` })
  expect(await failureOf(restless.points.balance())).toMatchObject({ _tag: "Unauthenticated", attempts: 2 })
})

test("public procedures get no token", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  await createClient({ url: server.url, auth }).products.bySku({ sku: "TEA" })
  expect(server.calls).toMatchObject([{ procedure: "products.bySku", token: undefined }])
})

test("aborting one call does not cancel the login that others wait for", async () => {
  const { server } = await startSessionServer()
  await using _ = server
  const client = createClient({ url: server.url, auth })
  const leaving = new AbortController()
  const first = client.orders.create(orderInput, { signal: leaving.signal })
  const second = client.orders.create(orderInput)
  leaving.abort(new Error("left"))
  expect(await failureOf(first)).toMatchObject({ message: "left" })
  expect(await second).toMatchObject({ status: "PENDING" })
  expect(count(server, "auth.login")).toBe(1)
})
