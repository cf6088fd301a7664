import { type RedisService, type ServiceOptions, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { listenForErrors } from "@holdfast/locks"

/** A Redis for one test file, which may flush, freeze and kill it. */
export interface PrivateRedis extends AsyncDisposable {
  readonly service: RedisService
  readonly url: string
  /** A plain client, to inspect and to damage its data. */
  readonly client: Redis
  readonly stop: () => Promise<void>
}

export const startPrivateRedis = async (
  options: Pick<ServiceOptions, "source"> = {}
): Promise<PrivateRedis> => {
  const services = await startServices({ sql: false, ...options })
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
