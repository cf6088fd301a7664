import { claimRedisDatabase, type ClaimedDatabase } from "../services/index.ts"
import { redisUrl, type RedisConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"
import type { Isolation, Lent } from "./worker-services.ts"

/** What a test gets as `redis`: an empty database that no other test uses meanwhile. */
export interface RedisFixture extends RedisConnection {
  /** The database's index. */
  readonly database: number
  /** `redis://host:port/database`. */
  readonly url: string
  /** Whether the whole server is this test file's own. */
  readonly isolation: Isolation
}

/** The Redis database of one worker, as its tests use it one after the other. */
export interface WorkerRedis {
  forTest(): Promise<RedisFixture>
  /** The database is left as it is; the next test gets another one. */
  keep(test: string): void
  release(): Promise<void>
}

export function workerRedis(lent: Lent<RedisConnection>): WorkerRedis {
  const url = (index: number) => redisUrl(lent.connection, index)
  let current: ClaimedDatabase | undefined
  return {
    forTest: async () => {
      if (current === undefined) current = await claimRedisDatabase(url)
      else await current.flush()
      const { index } = current
      const isolation = lent.controls === undefined ? "database" : "server"
      return { ...lent.connection, database: index, url: url(index), isolation }
    },
    keep: (test) => {
      if (current === undefined) return
      noteKept(lent.keptFile, `Kept for "${test}": redis-cli -u ${url(current.index)}`)
      current = undefined
    },
    release: async () => {
      await current?.release()
      current = undefined
    }
  }
}
