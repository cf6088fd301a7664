import { randomUUID } from "node:crypto"
import type { Redis } from "ioredis"

/** A lock with a lease, stored in one Redis key. */
export interface Lock {
  /** Resolves with whether the lock was acquired. */
  acquire(redis: Redis): Promise<boolean>
  release(redis: Redis): Promise<void>
}

const KEY = "counter:lock"
const LEASE_MS = 5_000

/** The wrong version: release deletes the key, regardless of its owner. */
export const deletingLock = (): Lock => ({
  acquire: async (redis) => (await redis.set(KEY, "taken", "PX", LEASE_MS, "NX")) === "OK",
  release: async (redis) => {
    await redis.del(KEY)
  }
})

const DELETE_IF_MINE = `
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0`

/** The correct version: release deletes the key only if it still contains the owner's name. */
export const owningLock = (): Lock => {
  const me = randomUUID()
  return {
    acquire: async (redis) => (await redis.set(KEY, me, "PX", LEASE_MS, "NX")) === "OK",
    release: async (redis) => {
      await redis.eval(DELETE_IF_MINE, 1, KEY, me)
    }
  }
}
