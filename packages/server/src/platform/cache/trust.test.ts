import { contract, type InputOf, type Procedure } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Effect, Redacted } from "effect"
import { mkdir, rm, rmdir } from "node:fs/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import { type Answer, type CallOptions, makeRawClient, type RawClient } from "../../../test/raw-client.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { makeTrust } from "./trust.ts"

/** How long a call may take whose invalidation does not get through: its deadline, the suspension, a slow machine. */
const ANSWERED_WITHIN_MS = 3_000

interface Fault {
  readonly begin: () => Promise<unknown>
  readonly end: () => Promise<unknown>
}

describe("a Redis that answers reads and refuses writes", () => {
  let redis: PrivateRedis
  let shop: Shop
  /** Two processes. The first connects as a user of its own, who can lose the right to write. */
  let first: RawClient
  let second: RawClient
  let buyer: TestUser
  const sku = "tea"
  beforeAll(async () => {
    // The files of a native server can be reached.
    redis = await startPrivateRedis({ source: ["native", "packages", "docker"] })
    await redis.client.call("ACL", "SETUSER", "first", "on", ">secret", "~*", "&*", "+@all")
    const asFirst = new URL(redis.url)
    asFirst.username = "first"
    asFirst.password = "secret"
    const cache = { freshMs: 3_600_000, staleMs: 3_600_000 }
    shop = await Shop.open({ redisUrl: asFirst.href, settings: { cache } })
    first = makeRawClient(shop.servers[0].url)
    second = makeRawClient((await shop.openBeside({ redisUrl: Redacted.make(redis.url) })).url)
    buyer = await shop.newUser(1_000_000)
    await shop.newProduct(sku, 1_000, 10)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await redis.stop()
  })

  const balanceAt = async (client: RawClient) =>
    (await answered(client, contract.points.balance, {}, buyer)).balance
  const stockAt = async (client: RawClient) =>
    (await answered(client, contract.products.bySku, { sku }, {})).stock
  const seenBy = async (client: RawClient) => ({
    balance: await balanceAt(client),
    stock: await stockAt(client)
  })

  /** Waits until both processes read the stock from Redis. */
  const untilCached = () =>
    eventually(
      async () => {
        const hits = await hitsOf(redis)
        await Promise.all([seenBy(first), seenBy(second)])
        const [before, after] = [hits, await hitsOf(redis)]
        // A value and its version, for two processes.
        expect(after - before).toBeGreaterThanOrEqual(4)
      },
      { timeoutMs: 10_000 }
    )

  const setting = (name: string, value: string, usual: string): Fault => ({
    begin: () => redis.client.config("SET", name, value),
    end: () => redis.client.config("SET", name, usual)
  })
  const faults: Record<string, Fault> = {
    OOM: setting("maxmemory", "1", "0"),
    NOREPLICAS: setting("min-replicas-to-write", "1", "0"),
    READONLY: {
      begin: () => redis.client.replicaof("127.0.0.1", 1),
      end: () => redis.client.replicaof("NO", "ONE")
    },
    MISCONF: {
      // A snapshot cannot replace a directory.
      begin: async () => {
        await redis.client.config("SET", "save", "3600 1000000")
        await mkdir(await snapshotOf(redis))
        await redis.client.bgsave()
        await eventually(async () => {
          expect(await redis.client.info("persistence")).toContain("rdb_last_bgsave_status:err")
        })
      },
      end: async () => {
        await rmdir(await snapshotOf(redis))
        await eventually(async () => {
          await redis.client.bgsave()
          expect(await redis.client.set("writable", "1")).toBe("OK")
        })
        await redis.client.config("SET", "save", "")
        await rm(await snapshotOf(redis), { force: true })
      }
    },
    "NOPERM, for one process": {
      begin: () => redis.client.call("ACL", "SETUSER", "first", "-@write"),
      end: () => redis.client.call("ACL", "SETUSER", "first", "+@all")
    },
    "a connection that one process loses": {
      begin: () =>
        redis.client
          .call("ACL", "SETUSER", "first", "off")
          .then(() => redis.client.call("CLIENT", "KILL", "USER", "first")),
      end: () => redis.client.call("ACL", "SETUSER", "first", "on")
    }
  }

  // Guarantees: after the answer to a write, no process shows a state that is older than it.
  // The folder of a snapshot is out of reach inside of a container.
  const possible = Object.entries(faults).filter(
    ([name]) => name !== "MISCONF" || process.env["HOLDFAST_SOURCE"] !== "docker"
  )
  test.each(possible)(
    "%s: no reader sees an older state than an answered write",
    async (_name, fault) => {
      await untilCached()
      const before = await seenBy(second)
      await fault.begin()
      try {
        const { id: orderId } = await answered(
          first,
          contract.orders.create,
          { lines: [{ sku, quantity: 1 }] },
          buyer
        )
        expect(await stockAt(second)).toBe(before.stock - 1)
        expect(await stockAt(first)).toBe(before.stock - 1)
        await answered(first, contract.payments.process, { orderId }, buyer)
        expect(await balanceAt(second)).toBe(before.balance - 10)
        expect(await balanceAt(first)).toBe(before.balance - 10)
        await answered(second, contract.orders.create, { lines: [{ sku, quantity: 1 }] }, buyer)
        expect(await stockAt(first)).toBe(before.stock - 2)
        expect(await stockAt(second)).toBe(before.stock - 2)
      } finally {
        await fault.end()
      }
      await untilCached()
      expect(await seenBy(first)).toEqual({ balance: before.balance - 10, stock: before.stock - 2 })
      expect(await seenBy(second)).toEqual({ balance: before.balance - 10, stock: before.stock - 2 })
    },
    60_000
  )

  // Guarantees: a process that was left behind at a demoted server trusts what it finds there no longer than a second.
  test("a process whose Redis stands still, while the other's takes the invalidations", async () => {
    await using demoted = await startPrivateRedis()
    const third = makeRawClient((await shop.openBeside({ redisUrl: Redacted.make(demoted.url) })).url)
    const stock = await stockAt(third)
    await eventually(async () => expect(await demoted.client.keys("*:e:product:tea")).toHaveLength(1))
    await demoted.client.replicaof("127.0.0.1", 1)
    await answered(first, contract.orders.create, { lines: [{ sku, quantity: 1 }] }, buyer)
    await eventually(async () => expect(await stockAt(third)).toBe(stock - 1), { timeoutMs: 1_000 })
    const seenAtMs = performance.now()
    while (performance.now() - seenAtMs < 1_500) expect(await stockAt(third)).toBe(stock - 1)
  })

  test("an idle process asks neither Redis nor the database whether it may trust the cache", async () => {
    await untilCached()
    const commands = async () =>
      Number(/total_commands_processed:(\d+)/.exec(await redis.client.info("stats"))![1])
    const startedAtMs = performance.now()
    const before = await commands()
    await eventually(() => expect(performance.now() - startedAtMs).toBeGreaterThan(1_000))
    expect((await commands()) - before).toBeLessThan(10)
  })
})

/** A call that must succeed in time. */
const answered = async <P extends Procedure>(
  client: RawClient,
  procedure: P,
  input: InputOf<P>,
  options: CallOptions
): Promise<P["output"]["Encoded"]> => {
  const startedAtMs = performance.now()
  const answer: Answer<P> = await client(procedure, input, options)
  expect(performance.now() - startedAtMs).toBeLessThan(ANSWERED_WITHIN_MS)
  if (!answer.ok) throw new Error(answer.body)
  return answer.value
}

const hitsOf = async ({ client }: PrivateRedis) =>
  Number(/keyspace_hits:(\d+)/.exec(await client.info("stats"))![1])

const snapshotOf = async ({ client }: PrivateRedis) => {
  const { dbfilename, dir } = (await client
    .config("GET", "dir", "dbfilename")
    .then((reply) => Object.fromEntries(pairsOf(reply as ReadonlyArray<string>)))) as Record<string, string>
  return `${dir}/${dbfilename}`
}

const pairsOf = (flat: ReadonlyArray<string>) =>
  flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]!] as const] : []))

describe("the times of the trust", () => {
  // Guarantees: an ended generation is used by nobody, and the next one by nobody who could still write to the ended one.
  test("after a suspension nobody reads for two seconds, and writers then know the next generation", async () => {
    await using shop = await Shop.open()
    const waitAndSee = Effect.gen(function* () {
      const [reader, writer, failing] = yield* Effect.all([
        makeTrust(Effect.void),
        makeTrust(Effect.void),
        makeTrust(Effect.void)
      ])
      const first = yield* reader.readable
      expect(yield* writer.readable).toBe(first)
      const startedAtMs = performance.now()
      yield* failing.suspend
      const knownAtMs = performance.now()
      // Who has just looked trusts what it saw for half a second.
      expect(knownAtMs - startedAtMs).toBeGreaterThanOrEqual(490)
      expect(knownAtMs - startedAtMs).toBeLessThan(1_500)
      let next: number | undefined
      let wasSuspended = false
      while (next === undefined) {
        yield* Effect.sleep(25)
        wasSuspended ||= failing.isSuspended()
        // What is left of it is too short to rely on.
        if (performance.now() > knownAtMs + 1_000) expect(failing.isSuspended()).toBe(false)
        next = yield* reader.readable
      }
      expect(wasSuspended).toBe(true)
      const tookMs = performance.now() - startedAtMs
      expect(tookMs).toBeGreaterThanOrEqual(1_990)
      expect(tookMs).toBeLessThan(4_000)
      expect(next).toBe(first! + 1)
      expect(yield* writer.writable).toBe(next)
    })
    await shop.servers[0].runtime.runPromise(Effect.scoped(waitAndSee))
  })
})
