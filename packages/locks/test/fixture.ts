import { type RedisService, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { afterAll, afterEach, beforeAll } from "vitest"
import { lockKeys } from "../src/backends/queue/scripts.ts"
import { listenForErrors } from "../src/redis/client.ts"
import { member, type Member, type MemberOptions } from "./members.ts"

export interface RedisFixture {
  readonly service: RedisService
  /** A plain client, to inspect the data. */
  readonly plain: Redis
  /** A new member; closed after the test. */
  readonly member: (options?: MemberOptions, url?: string) => Member
}

/** A separate Redis for the test file to freeze, kill and flush. It is empty before each test. */
export const redisFixture = (): RedisFixture => {
  let service: RedisService | undefined
  let plain: Redis | undefined
  let stop = async () => {}
  const members: Array<Member> = []
  beforeAll(async () => {
    const services = await startServices({ sql: false })
    service = services.redis
    stop = services.stop
    plain = listenForErrors(new Redis(service.url(), { retryStrategy: () => 50 }))
  })
  afterEach(async () => {
    await Promise.all(members.splice(0).map((each) => each.close()))
    await plain?.flushall()
  })
  afterAll(async () => {
    plain?.disconnect()
    await stop()
  })
  const started = <A>(value: A | undefined): A => {
    if (value === undefined) throw new Error("the fixture has not started yet")
    return value
  }
  return {
    get service() {
      return started(service)
    },
    get plain() {
      return started(plain)
    },
    member: (options, url = started(service).url()) => {
      const made = member(url, options)
      members.push(made)
      return made
    }
  }
}

/** The keys of locks, without the last tokens, which stay for a minute. */
export const lockKeysLeft = async (redis: Redis): Promise<ReadonlyArray<string>> =>
  (await redis.keys("*")).filter((key) => !key.startsWith("holdfast:token:"))

/** Redis's key of a lock's queue, and of its last token. */
export const queueKey = (key: string): string => lockKeys(key)[1]
export const tokenKey = (key: string): string => lockKeys(key)[2]
