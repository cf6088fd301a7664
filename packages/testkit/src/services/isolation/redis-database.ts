import { randomUUID } from "node:crypto"
import { withRedis } from "../clients.ts"

/** A numbered Redis database that no other test process uses at the same time. Disposing it releases it. */
export interface ClaimedDatabase extends AsyncDisposable {
  readonly index: number
  /** Deletes all its keys. */
  flush(): Promise<void>
  /** Empties the database and lets other processes claim it. */
  release(): Promise<void>
}

/** Other test processes have claimed every database of the server. */
export class NoRedisDatabaseFree extends Error {
  readonly _tag = "NoRedisDatabaseFree"

  constructor(tried: number) {
    super(
      `all ${tried} databases of the Redis server are in use by other test processes; use isolation "server"`
    )
    this.name = "NoRedisDatabaseFree"
  }
}

/** Claims are stored in database 0, which is never handed out. */
const claimKey = (index: number) => `holdfast:testkit:database:${index}`

/** Frees the database of a killed process. Longer than any test run. */
const CLAIM_SECONDS = 6 * 3_600

/**
 * Claims a free database and empties it.
 *
 * @param url returns the URL of the database with that index
 * @throws NoRedisDatabaseFree when all are claimed
 */
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
