import { type RedisService, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { listenForErrors } from "@holdfast/locks"

/** A Redis of a test file's own, which it may flush, freeze and kill. */
export interface PrivateRedis extends AsyncDisposable {
  readonly service: RedisService
  readonly url: string
  /** A plain client, for looking at what is in there and for breaking it. */
  readonly client: Redis
  readonly stop: () => Promise<void>
}

export const startPrivateRedis = async (): Promise<PrivateRedis> => {
  const services = await startServices({ sql: false })
  const client = listenForErrors(new Redis(services.redis.url(), { retryStrategy: () => 50 }))
  const stop = async () => {
    client.disconnect()
    await services.stop()
  }
  return {
    service: services.redis,
    url: services.redis.url(),
    client,
    stop,
    [Symbol.asyncDispose]: stop
  }
}
