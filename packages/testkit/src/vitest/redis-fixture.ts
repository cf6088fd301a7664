import { urlOfDatabase } from "../internal/urls.ts"
import { claimRedisDatabase, type ClaimedDatabase } from "../services/index.ts"
import type { RedisConnection } from "./connection.ts"
import { KEPT_SECONDS, noteKept, type Borrowed } from "./keep.ts"
import type { Isolation, Lent } from "./worker-services.ts"

/** The fixture `redis`: an empty database that no other test uses at the same time. */
export interface RedisFixture extends RedisConnection {
  /** The database's index. */
  readonly database: number
  /** `redis://host:port/database`. */
  readonly url: string
  /** "server" when this test file has the whole server to itself. */
  readonly isolation: Isolation
}

/** The Redis databases of one worker. Sequential tests share one; concurrent tests get one each. */
interface WorkerRedis {
  /** An empty database. */
  forTest(): Promise<Borrowed<RedisFixture>>
  release(): Promise<void>
}

export function workerRedis(lent: Lent<RedisConnection>): WorkerRedis {
  const url = (index: number) => urlOfDatabase(lent.connection.url, index)
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
        keep: async (test) => {
          await database.keep(KEPT_SECONDS)
          noteKept(lent.keptFile, `Kept for "${test}": redis-cli -u ${url(index)}`)
        }
      }
    },
    release: async () => {
      await Promise.all(idle.splice(0).map((database) => database.release()))
    }
  }
}
