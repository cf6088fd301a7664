import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import { testHttpSettings, testRates } from "../../../test/settings.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"

let redis: PrivateRedis
beforeAll(async () => {
  redis = await startPrivateRedis()
  return () => redis.stop()
})

/** The tests' own address is a proxy's, so that a test can come from anywhere. */
const http = { ...testHttpSettings, trustedProxies: "127.0.0.1" }
const open = (rates: Partial<typeof testRates>, settings: object = { http }) =>
  Shop.open({ servers: 2, redisUrl: redis.url, settings: { rates: { ...testRates, ...rates }, ...settings } })
const from = (address: string) => ({ headers: { "x-forwarded-for": address } })
const path = "products.page?input=%7B%7D"

describe("limits of calls", () => {
  let shop: Shop
  let user: TestUser
  let url: string
  beforeAll(async () => {
    shop = await open({ readsPerMinute: 5, signUpsPerHour: 7, addressPerMinute: 60 })
    user = await shop.newUser()
    url = shop.servers[0].url
  })
  afterAll(() => shop.stop())

  const readTimes = async (times: number, headers: Record<string, string>) => {
    const answers: Array<Response> = []
    for (let time = 0; time < times; time += 1) answers.push(await fetch(`${url}/trpc/${path}`, { headers }))
    return answers
  }
  const statuses = (answers: ReadonlyArray<Response>) => answers.map(({ status }) => status)

  // Guarantees: a caller gets as many calls of a procedure as the limit says, and is told how many are left.
  test("the call after the last is refused, with the declared error and the headers", async () => {
    const answers = await readTimes(6, from("10.0.0.1").headers)
    expect(statuses(answers)).toEqual([200, 200, 200, 200, 200, 429])
    const told = (name: string) => answers.map(({ headers }) => headers.get(`ratelimit-${name}`))
    expect(told("limit")).toEqual(["5", "5", "5", "5", "5", "5"])
    expect(told("remaining")).toEqual(["4", "3", "2", "1", "0", "0"])
    for (const seconds of told("reset")) expect(Number(seconds)).toBeGreaterThan(50)
    const refused = answers.at(-1)!
    const waitSeconds = Number(refused.headers.get("retry-after"))
    expect(waitSeconds).toBeGreaterThan(50)
    expect(waitSeconds).toBeLessThanOrEqual(60)
    const { error } = (await refused.json()) as { error: { data: { domain: unknown; retryable: boolean } } }
    expect(error.data).toMatchObject({ retryable: true, domain: { _tag: "RateLimited", limit: "reads" } })
  })

  test("another procedure, another address and a user at the same address have limits of their own", async () => {
    await readTimes(5, from("10.0.0.2").headers)
    expect(statuses(await readTimes(1, from("10.0.0.2").headers))).toEqual([429])
    expect(await shop.call(contract.products.categories, {}, from("10.0.0.2"))).toMatchObject({ ok: true })
    expect(statuses(await readTimes(1, from("10.0.0.3").headers))).toEqual([200])
    const authorization = `Bearer ${user.token}`
    expect(statuses(await readTimes(1, { ...from("10.0.0.2").headers, authorization }))).toEqual([200])
    const forged = `Bearer ${user.token.slice(0, -4)}AAAA`
    expect(statuses(await readTimes(1, { ...from("10.0.0.2").headers, authorization: forged }))).toEqual([
      429
    ])
  })

  test("a user is the same caller everywhere; a network of IPv6 is one caller", async () => {
    const authorization = `Bearer ${user.token}`
    for (let n = 0; n < 4; n += 1) await readTimes(1, { ...from(`10.1.0.${n}`).headers, authorization })
    expect(statuses(await readTimes(1, { ...from("10.1.1.1").headers, authorization }))).toEqual([429])
    for (let n = 1; n <= 5; n += 1) await readTimes(1, from(`2001:db8:1:2:${n}::${n}`).headers)
    expect(statuses(await readTimes(1, from("2001:db8:1:2:ffff::1").headers))).toEqual([429])
    expect(statuses(await readTimes(1, from("2001:db8:1:3::1").headers))).toEqual([200])
  })

  test("each call of a batch counts, and the headers tell the tightest limit", async () => {
    const batch = (calls: number) =>
      fetch(
        `${url}/trpc/${Array.from({ length: calls }, () => "products.page").join(",")}?batch=1&input=%7B%7D`,
        {
          headers: from("10.0.0.4").headers
        }
      )
    const answer = await batch(7)
    expect(answer.status).toBe(207)
    const parts = (await answer.json()) as ReadonlyArray<{ result?: object; error?: object }>
    expect(parts.filter(({ result }) => result !== undefined)).toHaveLength(5)
    expect(answer.headers.get("ratelimit-remaining")).toBe("0")
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(50)
  })

  // Guarantees: who changes procedures, tokens and users is stopped by the limit of the address.
  test("an address has a limit for all calls together, those with bad tokens too", async () => {
    let admitted = 0
    for (let n = 0; n < 80; n += 1) {
      const response = await fetch(`${url}/trpc/points.balance?input=%7B%7D`, {
        headers: { ...from("10.0.0.5").headers, authorization: "Bearer a.b.c" }
      })
      if (response.status === 401) admitted += 1
    }
    expect(admitted).toBe(5)
    for (const procedure of ["products.categories", "products.topSellers", "orders.page", "auth.me"])
      for (let n = 0; n < 20; n += 1)
        await fetch(`${url}/trpc/${procedure}?input=%7B%7D`, { headers: from("10.0.0.5").headers })
    const last = await fetch(`${url}/trpc/coupons.page?input=%7B%7D`, { headers: from("10.0.0.5").headers })
    expect(await last.json()).toMatchObject({ error: { data: { domain: { limit: "address" } } } })
  })

  // Guarantees: over all processes, exactly as many sign-ups of an address as the limit says.
  test("60 sign-ups of one address race on two servers: seven users", async () => {
    const result = await race(60, () =>
      shop.ok(
        contract.auth.register,
        { email: `${randomUUID()}@shop.test`, password: "a password" },
        from("10.0.0.6")
      )
    )
    expectExactly(result, 7)
    expectExactly(result, 53, "RateLimited")
  })
})

test("the address that a stranger claims is not believed", async () => {
  await using shop = await open({ readsPerMinute: 3 }, { http: testHttpSettings })
  const answers = []
  for (let n = 0; n < 4; n += 1) {
    const headers = { "x-forwarded-for": `10.0.0.${n}`, forwarded: `for=10.0.0.${n}` }
    answers.push(await fetch(`${shop.servers[0].url}/trpc/${path}`, { headers }))
  }
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
})

// Guarantees: the processes share a limit of reads, and none of them waits for Redis.
test("two servers together admit the limit and at most two twentieths more", async () => {
  await using shop = await open({ readsPerMinute: 100 })
  let admitted = 0
  for (let round = 0; round < 30; round += 1) {
    const reads = Array.from({ length: 10 }, () => shop.call(contract.products.page, {}, from("10.2.0.1")))
    admitted += (await Promise.all(reads)).filter(({ ok }) => ok).length
  }
  expect(admitted).toBeGreaterThanOrEqual(100)
  expect(admitted).toBeLessThanOrEqual(100 + 2 * 10)
})

test("a caller far from the limit costs Redis nothing", async () => {
  await using shop = await open({ readsPerMinute: 10_000, addressPerMinute: 10_000 })
  await redis.client.config("RESETSTAT")
  for (let n = 0; n < 200; n += 1) await shop.ok(contract.products.categories, {}, from("10.3.0.1"))
  expect(await redis.client.info("commandstats")).not.toMatch(/cmdstat_evalsha?:/)
})

describe("what stands in Redis instead of a count", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await open({ signUpsPerHour: 3 })
  })
  afterAll(() => shop.stop())

  const signUp = (address: string) =>
    shop.call(
      contract.auth.register,
      { email: `${randomUUID()}@shop.test`, password: "a password" },
      from(address)
    )

  // Guarantees: no lie locks anybody out for longer than a window, and none stops the service.
  test.each<[lie: string, tell: (key: string) => Promise<unknown>]>([
    ["a hash", (key) => redis.client.hset(key, "a", "b")],
    ["a text", (key) => redis.client.set(key, "x", "PX", 60_000)],
    ["a fraction", (key) => redis.client.set(key, "1.5", "PX", 60_000)],
    ["a number without end", (key) => redis.client.set(key, "1e999", "PX", 60_000)],
    ["a number beyond all", (key) => redis.client.set(key, "9223372036854775807", "PX", 60_000)],
    ["less than nothing", (key) => redis.client.set(key, "-1000000", "PX", 60_000)],
    ["a count that never ends", (key) => redis.client.set(key, "3")],
    ["a count that ends in a year", (key) => redis.client.set(key, "3", "PX", 31_536_000_000)]
  ])("%s begins a new window of three", async (lie, tell) => {
    const address = `lie.${lie.replaceAll(" ", "-")}`
    const known = `10.4.${lie.length}.${lie.charCodeAt(2)}`
    await signUp(known)
    const [key] = await redis.client.keys(`*rate:auth.register:${known}`)
    expect(key, address).toBeDefined()
    await redis.client.del(key!)
    await tell(key!)
    const answers = []
    for (let n = 0; n < 4; n += 1) answers.push(await signUp(known))
    expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, false])
    const ttlMs = await redis.client.pttl(key!)
    expect(ttlMs).toBeGreaterThan(0)
    expect(ttlMs).toBeLessThanOrEqual(3_600_000)
  })
})

test("while Redis is away each process counts, from what it knew", async () => {
  await using own = await startPrivateRedis()
  await using shop = await Shop.open({
    redisUrl: own.url,
    settings: { http, rates: { ...testRates, signUpsPerHour: 4, readsPerMinute: 5 } }
  })
  const signUp = () =>
    shop.call(
      contract.auth.register,
      { email: `${randomUUID()}@shop.test`, password: "a password" },
      from("10.5.0.1")
    )
  const first = [await signUp(), await signUp()]
  await own.service.kill()
  const answers = [...first]
  for (let n = 0; n < 4; n += 1) answers.push(await signUp())
  expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, true, false, false])
  const reads = []
  for (let n = 0; n < 6; n += 1) reads.push(await shop.call(contract.products.page, {}, from("10.5.0.1")))
  expect(reads.map(({ ok }) => ok)).toEqual([true, true, true, true, true, false])
})
