import { randomUUID } from "node:crypto"
import { withRedis } from "../clients.ts"
import { isGone, isNear, isOwner, thisOwner } from "../owner.ts"

/** A numbered Redis database that no other test process uses at the same time. Disposing it releases it. */
export interface ClaimedDatabase extends AsyncDisposable {
  readonly index: number
  /**
   * Deletes all its keys.
   *
   * @throws RedisClaimLost when the database is no longer claimed by this process
   */
  flush(): Promise<void>
  /** Empties the database and lets other processes claim it. */
  release(): Promise<void>
  /** Leaves the database as it is, and its claim for `seconds` after this process has ended. */
  keep(seconds: number): Promise<void>
}

/** Every database of the server is claimed by another test process, or holds data that no test wrote. */
export class NoRedisDatabaseFree extends Error {
  readonly _tag = "NoRedisDatabaseFree"
  /** The databases with data that the testkit did not write and therefore never empties. */
  readonly withData: ReadonlyArray<number>

  constructor(claimed: ReadonlyArray<number>, withData: ReadonlyArray<number>) {
    const reasons = [
      ...(claimed.length === 0 ? [] : [`other test processes use ${claimed.join(", ")}`]),
      ...(withData.length === 0
        ? []
        : [`${withData.join(", ")} hold data that the testkit did not write, so it does not empty them`])
    ]
    super(
      `no numbered database of the Redis server is free: ${reasons.join("; ") || "it has only database 0"}. ` +
        "Name another server in HOLDFAST_REDIS_URL, unset it to start a private one, " +
        'use isolation "server", or empty a database yourself: redis-cli -n NUMBER FLUSHDB'
    )
    this.name = "NoRedisDatabaseFree"
    this.withData = withData
  }
}

/** Another process has taken the database, for example after this one was suspended, so it was not emptied. */
export class RedisClaimLost extends Error {
  readonly _tag = "RedisClaimLost"

  constructor(index: number) {
    super(`Redis database ${index} is no longer claimed by this process, so it was not emptied`)
    this.name = "RedisClaimLost"
  }
}

/** Claims are stored in database 0, which is never handed out. */
const claimKey = (index: number) => `holdfast:testkit:database:${index}`
const aliveKey = (index: number) => `holdfast:testkit:database:${index}:alive`

/** An owner on another host counts as gone when it has not been heard of for this long. */
const ALIVE_SECONDS = 600

/**
 * Takes a database that is empty and unclaimed, or whose claim is ARGV[3], and empties that one. Returns 0, the number of
 * keys of a database with data of others, or the claim that is there. Atomic, so two processes never take the same one.
 */
const CLAIM = `
local claim = redis.call("GET", KEYS[1])
if claim and claim ~= ARGV[3] then return claim end
redis.call("SELECT", ARGV[1])
if claim then redis.call("FLUSHDB") end
local keys = redis.call("DBSIZE")
redis.call("SELECT", 0)
if keys > 0 then return keys end
redis.call("SET", KEYS[1], ARGV[2])
redis.call("SET", KEYS[2], "1", "EX", ARGV[4])
return 0`

/**
 * Empties the database unless somebody else has claimed it, and gives it up if ARGV[3] says so. A restart and FLUSHALL
 * delete the claim, which is then renewed. Returns whether the database was ours.
 */
const EMPTY = `
local claim = redis.call("GET", KEYS[1])
if claim and claim ~= ARGV[2] then return 0 end
redis.call("SELECT", ARGV[1])
redis.call("FLUSHDB")
redis.call("SELECT", 0)
if ARGV[3] == "release" then
  redis.call("DEL", KEYS[1], KEYS[2])
else
  redis.call("SET", KEYS[1], ARGV[2])
  redis.call("SET", KEYS[2], "1", "EX", ARGV[4])
end
return 1`

/**
 * Claims a free database: an empty one, or one whose claim was left by a process that has ended. A database with any
 * other data is never touched.
 *
 * @param url returns the URL of the database with that index
 * @throws NoRedisDatabaseFree when there is none
 */
export async function claimRedisDatabase(url: (index: number) => string): Promise<ClaimedDatabase> {
  const mine = JSON.stringify({ ...thisOwner(), id: randomUUID() })
  const index = await withRedis(url(0), (client) => takeOne(client, mine))
  const empty = (then: "release" | "keep") =>
    withRedis(url(0), (client) =>
      client.eval(EMPTY, 2, claimKey(index), aliveKey(index), index, mine, then, ALIVE_SECONDS)
    )
  const staysAlive = setInterval(
    () => {
      withRedis(url(0), (client) => client.expire(aliveKey(index), ALIVE_SECONDS)).catch(() => {})
    },
    (ALIVE_SECONDS * 1_000) / 5
  ).unref()
  const release = async () => {
    clearInterval(staysAlive)
    await empty("release")
  }
  return {
    index,
    flush: async () => {
      if ((await empty("keep")) !== 1) throw new RedisClaimLost(index)
    },
    release,
    keep: async (seconds) => {
      clearInterval(staysAlive)
      const kept = JSON.stringify({ ...thisOwner(), keptUntilMs: Date.now() + seconds * 1_000 })
      await withRedis(url(0), async (client) => {
        await client.set(claimKey(index), kept)
        await client.set(aliveKey(index), "1", "EX", seconds)
      })
    },
    [Symbol.asyncDispose]: release
  }
}

type Client = Parameters<Parameters<typeof withRedis>[1]>[0]

async function takeOne(client: Client, mine: string): Promise<number> {
  const claimed: Array<number> = []
  const withData: Array<number> = []
  const databases = await countDatabases(client)
  for (let index = 1; index < databases; index++) {
    const take = (instead: string) =>
      client.eval(CLAIM, 2, claimKey(index), aliveKey(index), index, mine, instead, ALIVE_SECONDS)
    let found = await take("")
    if (typeof found === "string" && (await isAbandoned(client, index, found))) found = await take(found)
    if (found === 0) return index
    if (typeof found === "string") claimed.push(index)
    else withData.push(index)
  }
  throw new NoRedisDatabaseFree(claimed, withData)
}

/** Managed servers forbid CONFIG; Redis has 16 databases unless it is told otherwise. */
async function countDatabases(client: Client): Promise<number> {
  const reply = await client.config("GET", "databases").catch(() => undefined)
  return Number(Array.isArray(reply) ? reply[1] : 16)
}

async function isAbandoned(client: Client, index: number, claim: string): Promise<boolean> {
  const owner: unknown = parsed(claim)
  if (!isOwner(owner)) return false
  if ("keptUntilMs" in owner && Number(owner.keptUntilMs) > Date.now()) return false
  return isNear(owner) ? isGone(owner) : (await client.exists(aliveKey(index))) === 0
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
