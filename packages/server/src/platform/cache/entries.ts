import { askRedis, type RedisClient, RedisStore } from "@holdfast/locks"
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { KeyNamespace } from "../db/key-namespace.ts"

export interface CacheKey {
  readonly name: string
  /** Names what the value is made of. A process that changes that invalidates the tag. */
  readonly tag: string
}

interface Entry {
  /** The tag's version before the value was loaded. The entry is valid while the tag still has it. */
  readonly version: string
  readonly freshUntilMs: number
  readonly value: unknown
}

/** The state of a key in Redis: its tag's current version, and its entry when that is valid. */
export interface Lookup {
  readonly version: string
  readonly entry: Entry | undefined
}

/** Versions of tags by the names of keys: what a load that begins now is valid for. */
export type Versions = ReadonlyMap<string, string>

/** How long a version lives. An entry is invalid once its version has expired. */
const VERSION_LIFETIME_MS = 600_000

/** How long one process may keep the others waiting for a load. */
export const FLIGHT_MS = 1_000

/** The cache's state in Redis. Every operation fails when Redis, or the key namespace, is unavailable. */
export const makeEntries = ({ freshMs, staleMs }: { readonly freshMs: number; readonly staleMs: number }) =>
  Effect.gen(function* () {
    const store = yield* RedisStore
    const { prefix } = yield* KeyNamespace
    const ask = <A>(call: (redis: CacheRedis) => Promise<A>) =>
      Effect.flatMap(prefix, (name) =>
        Effect.provideService(
          askRedis((client) => call({ client, at: `${name}cache:1:` })),
          RedisStore,
          store
        )
      )
    return {
      lookUp: (keys: ReadonlyArray<CacheKey>) => ask((redis) => lookUp(redis, keys)),
      /** The entries of these names, where they are valid. */
      read: (names: ReadonlyArray<string>, versions: Versions) =>
        ask(async ({ at, client }) => {
          const texts = await client.mget(names.map((name) => `${at}e:${name}`))
          return names.map((name, index) => validEntry(texts[index], versions.get(name)!))
        }),
      write: (versions: Versions, values: ReadonlyMap<string, unknown>) =>
        Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
          ask(({ at, client }) =>
            Promise.all(
              [...values].map(([name, value]) => {
                // Jitter, to keep entries that were written together from expiring together.
                const jitter = 0.8 + Math.random() * 0.4
                const freshUntilMs = nowMs + freshMs * jitter
                const entry: Entry = { version: versions.get(name)!, freshUntilMs, value }
                const lifetimeMs = Math.round((freshMs + staleMs) * jitter)
                return client.set(`${at}e:${name}`, JSON.stringify(entry), "PX", lifetimeMs)
              })
            )
          )
        ),
      invalidate: (tags: ReadonlyArray<string>) => ask((redis) => invalidate(redis, tags)),
      /** Returns the names that this process is to load; other processes are loading the rest. */
      takeFlights: (versions: Versions) => ask((redis) => takeFlights(redis, versions)),
      /**
       * Nothing was found for the `absent` ones among the names: the versions of their own tags go, too, so that asking
       * for what does not exist leaves nothing behind.
       */
      endFlights: (names: ReadonlyArray<string>, versions: Versions, absent: ReadonlyArray<string>) =>
        ask(({ at, client }) =>
          client.del([
            ...names.map((name) => flightKey(at, name, versions)),
            ...absent.map((name) => `${at}v:${name}`)
          ])
        )
    }
  })

export type Entries = Effect.Success<ReturnType<typeof makeEntries>>

/** The keys start with `at`, then `v:` for the version of a tag, `e:` an entry, `l:` a flight (a load in progress). */
interface CacheRedis {
  readonly client: RedisClient
  readonly at: string
}

const lookUp = async ({ at, client }: CacheRedis, keys: ReadonlyArray<CacheKey>) => {
  const values = await client.mget(keys.flatMap(({ name, tag }) => [`${at}v:${tag}`, `${at}e:${name}`]))
  return Promise.all(
    keys.map(async ({ tag }, index): Promise<Lookup> => {
      const version = values[index * 2] ?? (await firstVersion(client, `${at}v:${tag}`))
      return { version, entry: validEntry(values[index * 2 + 1], version) }
    })
  )
}

const invalidate = ({ at, client }: CacheRedis, tags: ReadonlyArray<string>) =>
  Promise.all(tags.map((tag) => client.set(`${at}v:${tag}`, randomUUID(), "PX", VERSION_LIFETIME_MS)))

const flightKey = (at: string, name: string, versions: Versions) => `${at}l:${name}@${versions.get(name)}`

const takeFlights = async ({ at, client }: CacheRedis, versions: Versions) => {
  const names = [...versions.keys()]
  const taken = await Promise.all(
    names.map((name) => client.set(flightKey(at, name, versions), "1", "PX", FLIGHT_MS, "NX"))
  )
  return names.filter((_, index) => taken[index] === "OK")
}

/** A version is random, so one that Redis evicted is never reused, and the entries of that version stay invalid. */
const firstVersion = async (client: RedisClient, key: string): Promise<string> => {
  const version = randomUUID()
  return (await client.set(key, version, "PX", VERSION_LIFETIME_MS, "NX", "GET")) ?? version
}

/** `undefined` for an entry of another version, and for text that the cache has not written. */
const validEntry = (text: string | null | undefined, version: string): Entry | undefined => {
  try {
    const entry = text == null ? undefined : (JSON.parse(text) as Entry)
    return entry?.version === version ? entry : undefined
  } catch {
    return undefined
  }
}
