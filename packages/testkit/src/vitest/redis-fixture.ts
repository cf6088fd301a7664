import { claimRedisDatabase, type ClaimedDatabase } from "../services/index.ts"
import { redisUrl, type RedisConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"
import type { Borrowed } from "./stores.ts"
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

/** The Redis databases of one worker. Its tests use one after the other; concurrent ones get one each. */
export interface WorkerRedis {
  /** An empty database. */
  forTest(): Promise<Borrowed<RedisFixture>>
  release(): Promise<void>
}

export function workerRedis(lent: Lent<RedisConnection>): WorkerRedis {
  const url = (index: number) => redisUrl(lent.connection, index)
  const idle: Array<ClaimedDatabase> = []
  return {
    forTest: async () => {
      const used = idle.pop()
      await used?.flush()
      const database = used ?? (await claimRedisDatabase(url))
      const { index } = database
      const isolation = lent.controls === undefined ? "database" : "server"
      return {
        fixture: { ...lent.connection, database: index, url: url(index), isolation },
        giveBack: () => void idle.push(database),
        keep: (test) => noteKept(lent.keptFile, `Kept for "${test}": redis-cli -u ${url(index)}`)
      }
    },
    release: async () => {
      await Promise.all(idle.splice(0).map((database) => database.release()))
    }
  }
}
