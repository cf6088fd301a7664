import type { ServiceUnavailable } from "@holdfast/domain"
import { isWrongType, type RedisClient, RedisStore, type RedisUnavailable } from "@holdfast/locks"
import { Clock, Effect, Option, Redacted, Schema } from "effect"
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto"
import type { PlatformSettings } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"

export interface CacheKey {
  readonly name: string
  /** Names what the value is made of. A process that changes that invalidates the tag. */
  readonly tag: string
}

/** How values of one kind are written to Redis, as JSON. Text that it does not decode is no entry. */
export type ValueSchema<A> = Schema.Codec<A, unknown>

interface Entry<A> {
  readonly isFresh: boolean
  readonly value: A
}

/** The state of a key in Redis: its tag's current version, and its entry when that is valid. */
export interface Lookup<A> {
  readonly version: string
  readonly entry: Entry<A> | undefined
}

/** What a load that begins now is valid for: a generation of the cache, and versions of tags by the names of keys. */
export interface Validity {
  readonly generation: number
  readonly versions: ReadonlyMap<string, string>
}

/** How long a version lives. An entry is invalid once its version has expired. */
const VERSION_LIFETIME_MS = 600_000

/** How long one process may keep the others waiting for a load. */
export const FLIGHT_MS = 1_000

/** Longer text in Redis is none of the cache's. */
const LONGEST_ENTRY = 1_000_000

/** Makes calls to Redis with the start of all the cache's keys. */
type Ask = <A>(
  call: (client: RedisClient, at: string) => Promise<A>
) => Effect.Effect<A, RedisUnavailable | ServiceUnavailable>

type Times = NonNullable<PlatformSettings["cache"]>

/** The cache's state in Redis. Every operation fails when Redis, or the key namespace, is unavailable. */
export const makeEntries = (times: Times, secret: Redacted.Redacted) =>
  Effect.gen(function* () {
    const store = yield* RedisStore
    const { prefix } = yield* KeyNamespace
    const seal = makeSeal(secret)
    const ask: Ask = (call) =>
      Effect.flatMap(prefix, (name) => store.ask((client) => call(client, `${name}cache:2:`)))
    return {
      /** Writes something. */
      probe: ask((client, at) => client.set(`${at}probe`, "1", "PX", FLIGHT_MS)),
      ...readers(ask, seal),
      ...writers(ask, seal, times),
      ...flights(ask)
    }
  })

const readers = (ask: Ask, seal: Seal) => ({
  lookUp: <A>(schema: ValueSchema<A>, generation: number, keys: ReadonlyArray<CacheKey>) =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
      ask(async (client, at): Promise<ReadonlyArray<Lookup<A>>> => {
        const { entry, version } = keysOf(at, generation)
        const texts = await client.mget(keys.flatMap(({ name, tag }) => [version(tag), entry(name)]))
        return Promise.all(
          keys.map(async ({ name, tag }, index) => {
            const known = texts[index * 2]
            const current = isVersion(known) ? known : await firstVersion(client, version(tag))
            const text = texts[index * 2 + 1]
            return { version: current, entry: readEntry(seal, schema, entry(name), text, current, nowMs) }
          })
        )
      })
    ),
  /** The entries of these names, where they are valid. */
  read: <A>(schema: ValueSchema<A>, { generation, versions }: Validity, names: ReadonlyArray<string>) =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
      ask(async (client, at) => {
        const { entry } = keysOf(at, generation)
        const texts = await client.mget(names.map(entry))
        return names.map((name, index) =>
          readEntry(seal, schema, entry(name), texts[index], versions.get(name)!, nowMs)
        )
      })
    )
})

const writers = (ask: Ask, seal: Seal, { freshMs, staleMs }: Times) => ({
  write: <A>(schema: ValueSchema<A>, validity: Validity, values: ReadonlyMap<string, A>) =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const encoded = [...values].map(([name, value]) => [name, Schema.encodeSync(schema)(value)] as const)
      return ask((client, at) =>
        Promise.all(
          encoded.map(([name, value]) => {
            const key = keysOf(at, validity.generation).entry(name)
            // Jitter, to keep entries that were written together from expiring together.
            const jitter = 0.8 + Math.random() * 0.4
            const lifetimeMs = Math.round((freshMs + staleMs) * jitter)
            const written: WrittenEntry = {
              version: validity.versions.get(name)!,
              freshUntilMs: nowMs + freshMs * jitter,
              validUntilMs: nowMs + lifetimeMs,
              value
            }
            return client.set(key, seal.put(key, JSON.stringify(written)), "PX", lifetimeMs)
          })
        )
      )
    }),
  invalidate: (generation: number, tags: ReadonlyArray<string>) =>
    ask((client, at) => {
      const { version } = keysOf(at, generation)
      return Promise.all(tags.map((tag) => client.set(version(tag), randomUUID(), "PX", VERSION_LIFETIME_MS)))
    })
})

const flights = (ask: Ask) => ({
  /** Returns the names that this process is to load; other processes are loading the rest. */
  takeFlights: ({ generation, versions }: Validity) =>
    ask(async (client, at) => {
      const { flight } = keysOf(at, generation)
      const names = [...versions.keys()]
      const taken = await Promise.all(
        names.map((name) => client.set(flight(name, versions.get(name)!), "1", "PX", FLIGHT_MS, "NX"))
      )
      return names.filter((_, index) => taken[index] === "OK")
    }),
  /**
   * Nothing was found for the `absent` ones among the names: the versions of their own tags go, too, so that asking for
   * what does not exist leaves nothing behind.
   */
  endFlights: (
    { generation, versions }: Validity,
    names: ReadonlyArray<string>,
    absent: ReadonlyArray<string>
  ) =>
    ask((client, at) => {
      const { flight, version } = keysOf(at, generation)
      return client.del([...names.map((name) => flight(name, versions.get(name)!)), ...absent.map(version)])
    })
})

export type Entries = Effect.Success<ReturnType<typeof makeEntries>>

/** The keys of one generation: the version of a tag, an entry, a flight (a load in progress). */
const keysOf = (at: string, generation: number) => ({
  version: (tag: string) => `${at}${generation}:v:${tag}`,
  entry: (name: string) => `${at}${generation}:e:${name}`,
  flight: (name: string, version: string) => `${at}${generation}:l:${name}@${version}`
})

/** A version is random, so one that Redis evicted is never reused, and the entries of that version stay invalid. */
const firstVersion = async (client: RedisClient, key: string): Promise<string> => {
  const version = randomUUID()
  const known = await client.set(key, version, "PX", VERSION_LIFETIME_MS, "NX", "GET").catch(unlessWrongType)
  if (known === null) return version
  if (isVersion(known)) return known
  await client.set(key, version, "PX", VERSION_LIFETIME_MS)
  return version
}

const unlessWrongType = (error: unknown): undefined => {
  if (!isWrongType(error)) throw error
}

const isVersion = (text: string | null | undefined): text is string =>
  text?.length === 36 && /^[\da-f-]+$/.test(text)

interface WrittenEntry {
  /** The tag's version before the value was loaded. The entry is valid while the tag still has it. */
  readonly version: string
  readonly freshUntilMs: number
  readonly validUntilMs: number
  readonly value: unknown
}

/** `undefined` for an entry of another version or past its lifetime, and for text that the cache has not written there. */
const readEntry = <A>(
  seal: Seal,
  schema: ValueSchema<A>,
  key: string,
  text: string | null | undefined,
  version: string,
  nowMs: number
): Entry<A> | undefined => {
  const json = text == null || text.length > LONGEST_ENTRY ? undefined : seal.open(key, text)
  if (json === undefined) return undefined
  const { freshUntilMs, validUntilMs, value, version: ofEntry } = JSON.parse(json) as WrittenEntry
  if (ofEntry !== version || nowMs >= validUntilMs) return undefined
  const decoded = Schema.decodeUnknownOption(schema)(value)
  return Option.isSome(decoded) ? { isFresh: nowMs < freshUntilMs, value: decoded.value } : undefined
}

interface Seal {
  readonly put: (key: string, json: string) => string
  /** The JSON that `put` sealed for this key, or `undefined` for any other text. */
  readonly open: (key: string, text: string) => string | undefined
}

const SEAL_LENGTH = 43

/** Who can write to Redis cannot make an entry, nor show one user the entry of another: an HMAC binds it to its key. */
const makeSeal = (secret: Redacted.Redacted): Seal => {
  const sealKey = createHmac("sha256", Redacted.value(secret)).update("entries of the cache").digest()
  const sealOf = (key: string, json: string): string =>
    createHmac("sha256", sealKey).update(`${key}\n${json}`).digest("base64url")
  return {
    put: (key, json) => sealOf(key, json) + json,
    open: (key, text) => {
      const json = text.slice(SEAL_LENGTH)
      const [found, expected] = [Buffer.from(text.slice(0, SEAL_LENGTH)), Buffer.from(sealOf(key, json))]
      return found.length === expected.length && timingSafeEqual(found, expected) ? json : undefined
    }
  }
}
