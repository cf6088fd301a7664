import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { defineLockOrder, lockScope } from "@holdfast/domain/locks"
import { createLocks } from "@holdfast/locks"
import type { Redis } from "ioredis"
import { Mutex } from "redis-semaphore"
import { inTurnsOf } from "./group.ts"
import type { Goods } from "./goods.ts"
import type { Outcome } from "./outcome.ts"

/** One way to keep concurrent sales of one product exact. */
export interface Strategy {
  /** Takes one unit. */
  readonly take: () => Promise<Outcome>
  readonly close?: () => Promise<void>
}

/** Where the product is, and a Redis client of the strategy's own. */
export interface Ground {
  readonly goods: Goods
  readonly redis: Redis
}

const LEASE_MS = 10_000
const WAIT_MS = 10_000
const KEY = "strategies:product"

/** Nothing: the stock is read, compared and written back. */
const none = ({ goods }: Ground): Strategy => ({
  take: () => goods.transaction((on) => goods.sellAsRead(on, "plain"))
})

/** A lock that is asked for again and again, as redis-semaphore does it, with its default pause of 10 ms. */
const spinLock = ({ goods, redis }: Ground): Strategy => ({
  take: async () => {
    const mutex = new Mutex(redis, KEY, { lockTimeout: LEASE_MS, acquireTimeout: WAIT_MS })
    try {
      await mutex.acquire()
    } catch {
      return "refused"
    }
    try {
      return await goods.transaction((on) => goods.sellAsRead(on, "plain"))
    } finally {
      await mutex.release()
    }
  }
})

const RELEASE = `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('DEL', KEYS[1])
  return redis.call('PUBLISH', KEYS[1], 'free')`

/** A waiter asks again by itself after this long, because a message may be lost. */
const MESSAGE_MS = 1_000

/** A lock whose release is told to all waiters at once. They race for it; who comes last may stay last. */
const publishedLock = async ({ goods, redis }: Ground): Promise<Strategy> => {
  const subscriber = redis.duplicate()
  await subscriber.subscribe(KEY)
  const waiting = new Set<() => void>()
  subscriber.on("message", () => {
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  })
  const acquire = async (token: string): Promise<boolean> => {
    const endsAtMs = performance.now() + WAIT_MS
    while (performance.now() < endsAtMs) {
      // Listening begins before the question, so that a release between the two is heard.
      const { promise: released, resolve } = Promise.withResolvers<void>()
      waiting.add(resolve)
      const isOurs = (await redis.set(KEY, token, "PX", LEASE_MS, "NX")) === "OK"
      if (!isOurs) await Promise.race([released, sleep(MESSAGE_MS, undefined, { ref: false })])
      waiting.delete(resolve)
      if (isOurs) return true
    }
    return false
  }
  return {
    take: async () => {
      const token = randomUUID()
      if (!(await acquire(token))) return "refused"
      try {
        return await goods.transaction((on) => goods.sellAsRead(on, "plain"))
      } finally {
        await redis.eval(RELEASE, 1, KEY, token)
      }
    },
    close: async () => subscriber.disconnect()
  }
}

/** The database's own lock of the row: the callers queue for it with a connection each. */
const rowLock = ({ goods }: Ground): Strategy => ({
  take: () => goods.transaction((on) => goods.sellAsRead(on, "forUpdate"))
})

const ATTEMPTS = 50
const LONGEST_PAUSE_MS = 10

/** Nobody waits: who finds that the version has changed tries again after a short random pause. */
const optimisticVersion = ({ goods }: Ground): Strategy => ({
  take: async () => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const outcome = await goods.transaction((on) => goods.sellIfUnchanged(on))
      if (outcome !== "changed") return outcome
      await sleep(Math.random() * LONGEST_PAUSE_MS)
    }
    return "refused"
  }
})

/** Holdfast's lock: a queue in Redis that hands the lock from holder to holder. */
const queueLock = ({ goods, redis }: Ground): Strategy => {
  const order = defineLockOrder([
    lockScope({
      name: "product",
      prefix: "strategies:",
      subject: (sku: string) => sku,
      mode: "pessimistic",
      leaseMs: LEASE_MS,
      waitMs: WAIT_MS
    })
  ])
  const locks = createLocks(order, { redis })
  return {
    take: () =>
      locks
        .run(order.scopes.product, "product", () => goods.transaction((on) => goods.sellAsRead(on, "plain")))
        .catch(refusalOf),
    close: () => locks.close()
  }
}

const refusalOf = (error: { readonly _tag?: string }): Outcome => {
  if (error._tag === "LockTimeout") return "refused"
  throw error
}

const GROUP = 64

/** The principle of Holdfast's groups: the calls that wait share the next transaction, decided in order of arrival. */
const group = ({ goods }: Ground): Strategy => ({
  take: inTurnsOf(GROUP, (calls) => goods.transaction((on) => goods.sellMany(on, calls)))
})

/** All strategies that sell from the same table, by name. */
export const strategies = {
  none,
  spinLock,
  publishedLock,
  rowLock,
  optimisticVersion,
  queueLock,
  group
} satisfies Readonly<Record<string, (ground: Ground) => Strategy | Promise<Strategy>>>
