import { Verrou } from "@verrou/core"
import { redisStore } from "@verrou/core/drivers/redis"
import type { Redis } from "ioredis"
import Redlock from "redlock"
import { type Contestant, promising } from "../locks/contestants.ts"

const LEASE_MS = 10_000

/** With its own defaults, except that it retries without a limit. */
export const redlock = (client: Redis): Contestant => {
  const locks = new Redlock([client], { retryCount: -1 })
  return promising("redlock", ["eval", "evalsha"], async (key) => {
    const lock = await locks.acquire([`bench-redlock:${key}`], LEASE_MS)
    return () => lock.release()
  })
}

/** With its own defaults, which retry without a limit. */
export const verrou = (client: Redis): Contestant => {
  const locks = new Verrou({
    default: "redis",
    stores: { redis: { driver: redisStore({ connection: client }) } }
  })
  return promising("verrou", ["set", "eval"], async (key) => {
    const lock = locks.createLock(`bench-verrou:${key}`, LEASE_MS)
    await lock.acquire()
    return () => lock.release()
  })
}
