import {
  defineLockOrder,
  FenceStale,
  LockLost,
  lockScope,
  LockTimeout,
  RequestInProgress
} from "@holdfast/domain/locks"
import { eventually, race } from "@holdfast/testkit"
import { createPool, type ResultSetHeader } from "mysql2/promise"
import { afterEach, describe, expect, test } from "vitest"
import { createLocks, type LocksClient, passFences } from "./promise-client.ts"
import { LockOrderViolation } from "./lock-stack.ts"
import { lockKeysLeft, redisFixture } from "../test/fixture.ts"
import { ledgerFixture } from "../test/ledger.ts"

const redis = redisFixture()
const books = ledgerFixture()

const subject = (id: number) => String(id)
const order = defineLockOrder([
  lockScope({ name: "cart", prefix: "cart:", subject, mode: "pessimistic", leaseMs: 1_000 }),
  lockScope({ name: "queue", prefix: "queue:", subject, mode: "pessimistic", waitMs: 200 }),
  lockScope({ name: "invoice", prefix: "invoice:", subject, mode: "optimistic", fenced: true })
])
const { cart, invoice, queue } = order.scopes

const clients: Array<LocksClient> = []
const client = (): LocksClient => {
  const made = createLocks(order, { redis: { url: redis.service.url() } })
  clients.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()))
})

describe("locks.run", () => {
  test("runs one body at a time and settles with its result or error", async () => {
    const [first, second] = [client(), client()]
    let inside = 0
    const result = await race(20, (caller) =>
      (caller % 2 === 0 ? first : second).run(order.scopes.cart, 1, async () => {
        inside += 1
        expect(inside).toBe(1)
        await Promise.resolve()
        inside -= 1
        return caller
      })
    )
    expect(result.fulfilled).toHaveLength(20)
    const bug = new TypeError("a bug of the body")
    await expect(first.run(cart, 1, () => Promise.reject(bug))).rejects.toBe(bug)
    expect(await lockKeysLeft(redis.plain)).toEqual([])
  })

  test("rejects with the errors of the domain", async () => {
    const locks = client()
    await locks.run(queue, 1, async () => {
      await expect(client().run(queue, 1, async () => {})).rejects.toBeInstanceOf(LockTimeout)
    })
    await locks.run(invoice, 1, async () => {
      await expect(client().run(invoice, 1, async () => {})).rejects.toBeInstanceOf(RequestInProgress)
    })
  })

  test("aborts the body when the lock is lost", async () => {
    const locks = client()
    let aborted = false
    const lost = locks.run(cart, 1, async (signal) => {
      await redis.plain.del("mutex:cart:1")
      await new Promise((resolve) => signal.addEventListener("abort", resolve))
      aborted = true
    })
    await expect(lost).rejects.toBeInstanceOf(LockLost)
    await eventually(() => aborted)
  })

  test("stops waiting when the caller's signal is aborted", async () => {
    const locks = client()
    await locks.run(cart, 1, async () => {
      const waiting = client().run(cart, 1, async () => {}, { signal: AbortSignal.timeout(50) })
      await expect(waiting).rejects.toThrow()
    })
    expect(await lockKeysLeft(redis.plain)).toEqual([])
  })

  test("refuses locks out of order, across promises", async () => {
    const locks = client()
    await locks.run(cart, 1, async () => {
      await locks.run(invoice, 1, async () => {
        await expect(locks.run(cart, 2, async () => {})).rejects.toBeInstanceOf(LockOrderViolation)
      })
      await expect(locks.run(cart, 1, async () => {})).rejects.toBeInstanceOf(LockOrderViolation)
    })
    await locks.run(invoice, 1, async () => {})
    await locks.run(cart, 1, async () => {})
  })

  test("advances the fence of a transaction of the caller's own", async () => {
    const pool = createPool({ uri: books.url(), connectionLimit: 2 })
    const fence = async (sql: string, parameters: ReadonlyArray<string | number>) =>
      (await pool.query<ResultSetHeader>(sql, [...parameters]))[0].insertId
    const locks = client()
    await locks.run(invoice, 1, async (_signal, late) => {
      await redis.plain.del("mutex:invoice:1")
      await client().run(invoice, 1, (_again, lock) => passFences(lock, fence))
      await expect(passFences(late, fence)).rejects.toBeInstanceOf(FenceStale)
    })
    await pool.end()
  })
})

describe("locks.acquire", () => {
  test("release tells whether the lock was still held", async () => {
    const locks = client()
    const kept = await locks.acquire(cart, 1)
    expect(kept.token("cart:1")).toBeGreaterThan(0)
    expect(await kept.release()).toEqual({ _tag: "Released", handedOver: false })
    expect(await kept.release()).toEqual({ _tag: "Released", handedOver: false })

    const vanished = await locks.acquire(cart, 1)
    await redis.plain.del("mutex:cart:1")
    expect(await vanished.release()).toEqual({ _tag: "Overrun", reason: "vanished" })

    const taken = await locks.acquire(cart, 1)
    await redis.plain.set("mutex:cart:1", "another holder", "PX", 1_000)
    expect(await taken.release()).toEqual({ _tag: "Overrun", reason: "taken" })
    expect(await redis.plain.get("mutex:cart:1")).toBe("another holder")
  })

  test("the lock is released at the end of the block, and its signal tells when it is lost", async () => {
    const locks = client()
    {
      await using lock = await locks.acquire(cart, 1)
      expect(await locks.list()).toMatchObject([
        { scope: "cart", key: "cart:1", token: lock.token("cart:1") }
      ])
    }
    expect(await locks.list()).toEqual([])
    const lock = await locks.acquire(cart, 1)
    await redis.plain.del("mutex:cart:1")
    await eventually(() => lock.signal.aborted)
    expect((await lock.release())._tag).toBe("Overrun")
  })
})
