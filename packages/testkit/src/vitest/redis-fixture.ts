import { claimRedisDatabase, type ClaimedDatabase } from "../services/index.ts"
import { redisUrl, type RedisConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"

/** What a test gets as `redis`: an empty database that no other test uses meanwhile. */
export interface RedisFixture extends RedisConnection {
  /** The database's index. */
  readonly database: number
  /** `redis://host:port/database`. */
  readonly url: string
}

/** The Redis database of one worker, as its tests use it one after the other. */
export interface WorkerRedis {
  forTest(): Promise<RedisFixture>
  /** The database is left as it is; the next test gets another one. */
  keep(test: string): void
  release(): Promise<void>
}

export function workerRedis(connection: RedisConnection, keptFile: string): WorkerRedis {
  let current: ClaimedDatabase | undefined
  return {
    forTest: async () => {
      if (current === undefined) current = await claimRedisDatabase((index) => redisUrl(connection, index))
      else await current.flush()
      return { ...connection, database: current.index, url: redisUrl(connection, current.index) }
    },
    keep: (test) => {
      if (current === undefined) return
      noteKept(keptFile, `Kept for "${test}": redis-cli -u ${redisUrl(connection, current.index)}`)
      current = undefined
    },
    release: async () => {
      await current?.release()
      current = undefined
    }
  }
}
