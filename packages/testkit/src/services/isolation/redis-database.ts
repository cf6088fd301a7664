import { randomUUID } from "node:crypto"
import { withRedis } from "../clients.ts"

/** A Redis database (an index of one server) that no other test process uses at the same time. Disposing releases it. */
export interface ClaimedDatabase extends AsyncDisposable {
  readonly index: number
  flush(): Promise<void>
  /** Empties it and gives it to others. */
  release(): Promise<void>
}

/** Every index was claimed by another test process. */
export class NoRedisDatabaseFree extends Error {
  readonly _tag = "NoRedisDatabaseFree"

  constructor(tried: number) {
    super(
      `all ${tried} databases of the Redis server are in use by other test processes; use isolation "server"`
    )
    this.name = "NoRedisDatabaseFree"
  }
}

/** The claims are kept in database 0, which no test gets. */
const claimKey = (index: number) => `holdfast:testkit:database:${index}`

/** A process that was killed gives its database back by this. Longer than any run of tests. */
const CLAIM_SECONDS = 6 * 3_600

/** Claims a database and empties it. `url(index)` gives the address of one. */
export async function claimRedisDatabase(url: (index: number) => string): Promise<ClaimedDatabase> {
  const owner = `${process.pid}:${randomUUID()}`
  const index = await withRedis(url(0), async (client) => {
    const reply = await client.config("GET", "databases")
    const databases = Number(Array.isArray(reply) ? reply[1] : 16)
    for (let candidate = 1; candidate < databases; candidate++)
      if ((await client.set(claimKey(candidate), owner, "EX", CLAIM_SECONDS, "NX")) === "OK") return candidate
    throw new NoRedisDatabaseFree(databases - 1)
  })
  const flush = () =>
    withRedis(url(index), async (client) => {
      await client.flushdb()
    })
  const release = async () => {
    await flush()
    await withRedis(url(0), async (client) => {
      if ((await client.get(claimKey(index))) === owner) await client.del(claimKey(index))
    })
  }
  await flush()
  return { index, flush, release, [Symbol.asyncDispose]: release }
}
