import { RedisStore } from "@holdfast/locks"
import { Clock, Effect, type Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import type { PlatformSettings } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { type EntryTexts, makeEntryTexts, type ValueSchema } from "./entry.ts"
import { askedByTurn } from "./turn.ts"
import { ensureVersions, inPipeline, renewVersions, versionIn } from "./versions.ts"

export interface CacheKey {
  readonly name: string
  /** Names what the value is made of. A process that changes that invalidates the tag. */
  readonly tag: string
  /** A place that names share, each replacing the one before it: for names that callers can make without end. */
  readonly slot?: string
  /** The tag of the fact that there is no such value. Whoever creates the value invalidates both tags. */
  readonly absentTag?: string
}

/** One of the places that names without end share. */
export const slotOf = (name: string, places: number): number =>
  createHash("sha1").update(name).digest().readUInt32BE() % places

/** The versions that a key's tags had at some time; `undefined` for one that had none. */
interface Versions {
  readonly own: string | undefined
  readonly absent: string | undefined
}

/** A key to load, and what versions its tags had before that. What is loaded counts while they have them. */
export interface Pending {
  readonly key: CacheKey
  readonly versions: Versions & { readonly own: string }
}

/** What is cached of a key. */
interface Found<A> {
  readonly isFresh: boolean
  /** `undefined`: there is no such value. */
  readonly value: A | undefined
}

/** The state of a key in Redis. */
export interface Lookup<A> {
  readonly versions: Versions
  readonly found: Found<A> | undefined
}

/** How long one process may keep the others waiting for a load. */
export const FLIGHT_MS = 2_000

const PROBE_LIFETIME_MS = 1_000

/** The tag that every invalidation invalidates before its own. */
const ANY = "any"

type Times = NonNullable<PlatformSettings["cache"]>

/** The cache's state in Redis. Every operation fails when Redis, or the key namespace, is unavailable. */
export const makeEntries = (times: Times, secret: Redacted.Redacted) =>
  Effect.gen(function* () {
    const { ask } = yield* RedisStore
    const { prefix } = yield* KeyNamespace
    const texts = makeEntryTexts(secret)
    const start = Effect.map(prefix, (name) => `${name}cache:2:`)
    let keys = keysOf("")
    const lastKeys = (at: string) => (keys.at === at ? keys : (keys = keysOf(at)))
    return {
      /** Writes something. */
      probe: Effect.flatMap(start, (at) =>
        ask((client) => client.set(`${at}probe`, "1", "PX", PROBE_LIFETIME_MS))
      ),
      /** The names of a generation's keys in Redis, which the other operations take. */
      keysOf: (generation: number) => Effect.map(start, (at) => lastKeys(`${at}${generation}:`)),
      ...readers(ask, texts),
      ...writers(ask, texts, times)
    }
  })

export type Entries = Effect.Success<ReturnType<typeof makeEntries>>

type Ask = RedisStore["Service"]["ask"]

/** The keys of one generation: the version of a tag, an entry, a flight (a load in progress). */
const keysOf = (at: string) => ({
  at,
  version: (tag: string) => `${at}v:${tag}`,
  entry: (place: string) => `${at}e:${place}`,
  flight: ({ key: { name }, versions: { own } }: Pending) => `${at}l:${name}@${own}`,
  /** The one place for all that is absent, so that asking for what does not exist fills nothing. */
  absent: `${at}e:absent`
})

export type Keys = ReturnType<typeof keysOf>

/** Where the state of one key is. */
const placesOf = (keys: Keys, { absentTag, name, slot = name, tag }: CacheKey) => ({
  version: keys.version(tag),
  entry: keys.entry(slot),
  absent: absentTag === undefined ? undefined : { version: keys.version(absentTag), entry: keys.absent }
})

type Places = ReturnType<typeof placesOf>

/** What to ask Redis for to know the state of keys. */
interface Question {
  readonly keys: Keys
  readonly places: ReadonlyArray<Places>
  readonly names: ReadonlyArray<string>
}

const makeQuestion = (keys: Keys, wanted: ReadonlyArray<CacheKey>): Question => {
  const places = wanted.map((key) => placesOf(keys, key))
  const names = places.flatMap(({ absent, entry, version }) =>
    absent === undefined ? [version, entry] : [version, entry, absent.version, absent.entry]
  )
  return { keys, places, names: [...new Set(names)] }
}

const readers = (ask: Ask, texts: EntryTexts) => {
  const read = askedByTurn((keys) => ask((client) => client.mget([...keys])))
  /** Who reads the same list again asks the same question. */
  const questions = new WeakMap<ReadonlyArray<CacheKey>, Question>()
  const questionOf = (keys: Keys, wanted: ReadonlyArray<CacheKey>) => {
    const last = questions.get(wanted)
    if (last?.keys === keys) return last
    const question = makeQuestion(keys, wanted)
    questions.set(wanted, question)
    return question
  }
  const ensured = askedByTurn((keys) => ask((client) => ensureVersions(client, keys)))
  return {
    lookUp: <A>(schema: ValueSchema<A>, keys: Keys, wanted: ReadonlyArray<CacheKey>) => {
      const { names, places } = questionOf(keys, wanted)
      return Effect.flatMap(read(names), (found) =>
        Effect.map(Clock.currentTimeMillis, (nowMs) =>
          wanted.map((key, at): Lookup<A> => {
            const { absent, version } = places[at]!
            const versions = {
              own: versionIn(found.get(version)),
              absent: absent === undefined ? undefined : versionIn(found.get(absent.version))
            }
            return { versions, found: validEntry(texts, schema, key, places[at]!, versions, found, nowMs) }
          })
        )
      )
    },
    /** The versions of tags by tag. Tags without a version get one. */
    versions: (keys: Keys, tags: ReadonlyArray<string>) =>
      Effect.map(
        ensured(tags.map(keys.version)),
        (versions) => new Map(tags.map((tag) => [tag, versions.get(keys.version(tag))!]))
      ),
    /** Differs from what it was before when a tag has been invalidated since. */
    lastChange: (keys: Keys) =>
      Effect.map(ensured([keys.version(ANY)]), (versions) => versions.get(keys.version(ANY))!),
    /**
     * Takes the flights that no other process has, and reads what is cached by now: who ends a flight has written its
     * entry before.
     */
    takeFlights: <A>(schema: ValueSchema<A>, keys: Keys, pending: ReadonlyArray<Pending>) =>
      ask(async (client) => {
        const places = pending.map(({ key }) => placesOf(keys, key))
        const entries = [...places.map(({ entry }) => entry), keys.absent]
        const replies = await inPipeline(client, [
          ...pending.map((load) => ["set", keys.flight(load), "1", "PX", FLIGHT_MS, "NX"] as const),
          ["mget", ...entries]
        ])
        const known = replies.at(-1) as ReadonlyArray<string | null>
        const found = new Map(entries.map((entry, at) => [entry, known[at]!]))
        const nowMs = Date.now()
        return pending.map(({ key, versions }, at) => {
          const entry = validEntry(texts, schema, key, places[at]!, versions, found, nowMs)
          return { isTaken: replies[at] === "OK", found: entry?.isFresh === true ? entry : undefined }
        })
      })
  }
}

/** The entry among texts that counts now: the key's own, or the one that says that it has no value. */
const validEntry = <A>(
  texts: EntryTexts,
  schema: ValueSchema<A>,
  { name, slot }: CacheKey,
  { absent, entry }: Places,
  versions: Versions,
  found: ReadonlyMap<string, string | null>,
  nowMs: number
): Found<A> | undefined => {
  const own = texts.read(schema, entry, found.get(entry))
  if (own !== undefined && own.version === versions.own && nowMs < own.validUntilMs)
    if (slot === undefined || own.name === name)
      return { isFresh: nowMs < own.freshUntilMs, value: own.value }
  if (absent === undefined) return undefined
  const none = texts.read(Schema.Null, absent.entry, found.get(absent.entry))
  const isAbsent = none?.name === name && none.version === versions.absent && nowMs < none.freshUntilMs
  return isAbsent ? { isFresh: true, value: undefined } : undefined
}

/** A load that has ended. */
interface Loaded<A> {
  readonly load: Pending
  /** `undefined`: there is no such value. */
  readonly value: A | undefined
}

const writers = (ask: Ask, texts: EntryTexts, { freshMs, staleMs }: Times) => {
  const written = <A>(schema: ValueSchema<A>, place: string, version: string, value: A, name?: string) => {
    const nowMs = Date.now()
    // Jitter, to keep entries that were written together from expiring together.
    const jitter = 0.8 + Math.random() * 0.4
    const lifetimeMs = Math.round((freshMs + staleMs) * jitter)
    const head = { version, freshUntilMs: nowMs + freshMs * jitter, validUntilMs: nowMs + lifetimeMs }
    const text = texts.write(schema, place, { ...head, ...(name === undefined ? {} : { name }), value })
    return ["set", place, text, "PX", lifetimeMs] as const
  }
  const writeLoaded = <A>(schema: ValueSchema<A>, keys: Keys, { load, value }: Loaded<A>) => {
    const { key, versions } = load
    if (value !== undefined)
      return [written(schema, keys.entry(key.slot ?? key.name), versions.own, value, key.slot && key.name)]
    return versions.absent === undefined
      ? []
      : [written(Schema.Null, keys.absent, versions.absent, null, key.name)]
  }
  return {
    write: <A>(schema: ValueSchema<A>, keys: Keys, loaded: ReadonlyArray<Loaded<A>>) =>
      ask((client) =>
        inPipeline(
          client,
          loaded.flatMap((one) => writeLoaded(schema, keys, one))
        )
      ),
    /** Writes what was loaded, then ends the flights. What is absent leaves no version of its own behind. */
    land: <A>(schema: ValueSchema<A>, keys: Keys, loaded: ReadonlyArray<Loaded<A>>) =>
      ask((client) => {
        const absent = loaded.flatMap(({ load: { key }, value }) =>
          value === undefined && key.tag === key.name ? [keys.version(key.tag)] : []
        )
        return inPipeline(client, [
          ...loaded.flatMap((one) => writeLoaded(schema, keys, one)),
          ["del", ...loaded.map(({ load }) => keys.flight(load)), ...absent]
        ])
      }),
    endFlights: (keys: Keys, pending: ReadonlyArray<Pending>) =>
      ask((client) => client.del(pending.map(keys.flight))),
    /** Gives tags new versions, and first the tag of all. */
    invalidate: (keys: Keys, tags: ReadonlyArray<string>) =>
      ask((client) => renewVersions(client, [ANY, ...tags].map(keys.version)))
  }
}
