import { Effect, Schema } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { countedText } from "../../../test/counted-text.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import type { RunningServer } from "../../server.ts"
import { Shop } from "../../../test/shop.ts"
import { Cache, invalidate } from "./cache.ts"
import { type CacheKey, slotOf } from "./entries.ts"
import { encodingOnce, makingOnce, share } from "./shared.ts"

const HOUR_MS = 3_600_000

describe("what readers of the cache share", () => {
  let redis: PrivateRedis
  let shop: Shop
  let beside: RunningServer
  beforeAll(async () => {
    redis = await startPrivateRedis()
    const settings = { cache: { freshMs: HOUR_MS, staleMs: HOUR_MS } }
    shop = await Shop.open({ redisUrl: redis.url, settings })
    beside = await shop.openBeside()
  })
  afterAll(async () => {
    await shop.stop()
    await redis.stop()
  })

  const run = <A, E>(effect: Effect.Effect<A, E, Cache>, server: RunningServer = shop.servers[0]) =>
    server.runtime.runPromise(effect)
  const getting = (keys: ReadonlyArray<CacheKey>, load: () => Promise<Record<string, unknown>>) =>
    Cache.use((cache) =>
      cache.getMany(Schema.Unknown, keys, () =>
        Effect.map(Effect.promise(load), (values) => new Map(Object.entries(values)))
      )
    )
  const callsOf = async (command: string) =>
    Number(
      new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.client.info("commandstats"))?.[1] ?? 0
    )

  test("readers of one turn ask Redis once, and a text is decoded once in a process", async () => {
    const { decoded, schema } = countedText()
    const key = { name: "turn", tag: "turn" }
    const get = Cache.use((cache) =>
      cache.getMany(schema, [key], () => Effect.succeed(new Map([["turn", "value"]])))
    )
    await run(get, beside)
    const before = await callsOf("mget")
    const values = await Promise.all(Array.from({ length: 200 }, () => run(get)))
    expect(new Set(values.map((found) => found.get("turn")))).toEqual(new Set(["value"]))
    // The readers may have to wait until the process knows that it may trust the cache.
    expect((await callsOf("mget")) - before).toBeLessThanOrEqual(2)
    expect(decoded()).toBe(1)
  })

  test("a load goes on when its caller leaves, and those who joined it get its value", async () => {
    const started = Promise.withResolvers<void>()
    const mayEnd = Promise.withResolvers<void>()
    let loads = 0
    const get = getting([{ name: "left", tag: "left" }], async () => {
      loads += 1
      started.resolve()
      await mayEnd.promise
      return { left: "value" }
    })
    const leaving = new AbortController()
    const first = shop.servers[0].runtime.runPromise(get, { signal: leaving.signal })
    await started.promise
    const joined = [run(get), run(get), run(get, beside)]
    leaving.abort()
    await expect(first).rejects.toThrow()
    mayEnd.resolve()
    expect((await Promise.all(joined)).map((found) => found.get("left"))).toEqual(Array(3).fill("value"))
    expect(loads).toBe(1)
  })

  test("names without end take the places that they share, and are never taken for one another", async () => {
    const keyOf = (n: number) => ({
      name: `search ${n}`,
      tag: "all",
      slot: `place:${slotOf(`search ${n}`, 3)}`
    })
    const get = (n: number) => getting([keyOf(n)], async () => ({ [`search ${n}`]: n }))
    const numbers = Array.from({ length: 50 }, (_, n) => n)
    const found = await Promise.all(
      [...numbers, ...numbers].map((n) => run(get(n), n % 2 === 0 ? beside : undefined))
    )
    expect(found.map((values, at) => values.get(`search ${at % 50}`))).toEqual([...numbers, ...numbers])
    // One after another, so that each finds what another name has left in its place.
    for (const n of numbers.slice(0, 12)) expect((await run(get(n))).get(`search ${n}`)).toBe(n)
    expect(await redis.client.keys("*:e:place:*")).toHaveLength(3)
  })

  test("that something does not exist is known until its tag is invalidated", async () => {
    const key = { name: "none", tag: "none", absentTag: "all that exist" }
    let loads = 0
    const none = getting([key], async () => {
      loads += 1
      return {}
    })
    for (const server of [beside, undefined, beside]) expect((await run(none, server)).size).toBe(0)
    expect(loads).toBe(1)
    await run(invalidate(["all that exist", "none"]), beside)
    expect((await run(getting([key], async () => ({ none: "created" })))).get("none")).toBe("created")
    expect((await run(none, beside)).get("none")).toBe("created")
  })

  test("that one thing does not exist says nothing of another with the same tag", async () => {
    const keyOf = (name: string) => ({ name, tag: name, absentTag: "all of a kind" })
    expect((await run(getting([keyOf("no such thing")], async () => ({})))).size).toBe(0)
    expect(
      (
        await run(
          getting([keyOf("thing")], async () => ({ thing: 1 })),
          beside
        )
      ).get("thing")
    ).toBe(1)
  })

  test("a name without a value leaves no version behind, and the versions of a shared tag in place", async () => {
    const ownTag = { name: "ghost", tag: "ghost", absentTag: "all ghosts" }
    await run(getting([ownTag], async () => ({})))
    expect(await redis.client.keys("*:v:ghost")).toEqual([])
    const shared = (name: string) => ({ name, tag: "shared by many", absentTag: "all of many" })
    const present = getting([shared("present")], async () => ({ present: "loaded once" }))
    await run(present)
    await run(getting([shared("missing")], async () => ({})))
    const again = getting([shared("present")], async () => ({ present: "loaded again" }))
    expect((await run(again, beside)).get("present")).toBe("loaded once")
  })

  test("that something does not exist is known no longer than a value is fresh", async () => {
    const hasty = await shop.openBeside({ cache: { freshMs: 0, staleMs: HOUR_MS } })
    let loads = 0
    const key = { name: "nothing yet", tag: "nothing yet", absentTag: "all of another kind" }
    const none = getting([key], async () => {
      loads += 1
      return {}
    })
    await run(none, hasty)
    await run(none)
    expect(loads).toBe(2)
    await run(none, beside)
    expect(loads).toBe(2)
  })

  // Guarantees: a value that a query finds by the way is kept only if nothing has changed since before the query.
  test.each([
    ["kept", [], "by the way"],
    ["not kept after a change of its own tag", ["way"], "loaded"],
    ["not kept after a change of another tag", ["elsewhere"], "loaded"]
  ])("a value that was found by the way is %s", async (_how, changed, expected) => {
    await run(invalidate(["way"]))
    const key = { name: "way", tag: "way" }
    await run(
      Effect.gen(function* () {
        const keep = yield* Cache.use((cache) => cache.keeping)
        yield* Effect.promise(() => run(invalidate(changed), beside))
        yield* keep(Schema.Unknown, new Map([[key, "by the way"]]))
      })
    )
    expect(
      (
        await run(
          getting([key], async () => ({ way: "loaded" })),
          beside
        )
      ).get("way")
    ).toBe(expected)
  })
})

test("a shared object is encoded once, any other each time", () => {
  let encoded = 0
  const encode = encodingOnce((value: object) => Effect.sync(() => [++encoded, value]))
  const shared = share({ a: 1 })
  const own = { a: 1 }
  const results = [shared, shared, own, own].map((value) => Effect.runSync(encode(value))[0])
  expect(results).toEqual([1, 1, 2, 3])
})

test("what is made of the same parts is the same; another part or size makes another", () => {
  const make = makingOnce<{ readonly of: number }>()
  const [list, first, second] = [{}, {}, {}]
  const one = make([list, first], 1, () => ({ of: 1 }))
  expect(make([list, first], 1, () => ({ of: 2 }))).toBe(one)
  expect(make([list, second], 1, () => ({ of: 3 }))).toEqual({ of: 3 })
  expect(make([list, first], 2, () => ({ of: 4 }))).toEqual({ of: 4 })
})
