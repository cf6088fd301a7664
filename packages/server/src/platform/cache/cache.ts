import type { RedisStore } from "@holdfast/locks"
import { Context, Effect, Layer, Metric, type Scope } from "effect"
import { LRUCache } from "lru-cache"
import { PlatformConfig } from "../config.ts"
import type { KeyNamespace } from "../db/key-namespace.ts"
import type { Database } from "../db/database.ts"
import { type CacheKey, type Entries, type Keys, type Lookup, makeEntries, type Pending } from "./entries.ts"
import type { ValueSchema } from "./entry.ts"
import { type Loader, makeFlights } from "./flights.ts"
import { makeTrust, type Trust } from "./trust.ts"

/** An invalidation does not wait longer than this for Redis. */
const INVALIDATION_DEADLINE_MS = 500

const lookups = Metric.counter("holdfast_cache_lookups_total", {
  description: "Lookups by outcome: hit, stale, miss, or away (Redis did not answer, or may not be trusted)",
  incremental: true
})
const lookupsOf = {
  hit: Metric.withAttributes(lookups, { outcome: "hit" }),
  stale: Metric.withAttributes(lookups, { outcome: "stale" }),
  miss: Metric.withAttributes(lookups, { outcome: "miss" }),
  away: Metric.withAttributes(lookups, { outcome: "away" })
}
const lostInvalidations = Metric.counter("holdfast_cache_lost_invalidations_total", {
  description:
    "Invalidations that did not reach Redis, so that every process stopped using the cache for a while",
  incremental: true
})

/** Keeps values that a query has found by the way, by their keys. */
export type Keep = <A>(schema: ValueSchema<A>, values: ReadonlyMap<CacheKey, A>) => Effect.Effect<void>

/**
 * Caches database reads in Redis. Reads never return data older than a completed invalidation: an entry carries the
 * version that its tag had before the database was read, and is valid only while the tag has that version. So a slow
 * reader cannot store data that changed meanwhile. An invalidation that Redis does not take suspends the cache in all
 * processes, see {@link makeTrust}. Without Redis, everything is read from the database.
 *
 * What a process has decoded it keeps, bounded, but asks Redis each time whether it is still what counts: one question
 * for all readers of a turn of the event loop.
 */
export class Cache extends Context.Service<
  Cache,
  {
    /** Values by name: cached ones, and what the loader finds for the rest. Over all processes, one loads a name at a time. */
    readonly getMany: <A, E, R>(
      schema: ValueSchema<A>,
      keys: ReadonlyArray<CacheKey>,
      load: Loader<A, E, R>
    ) => Effect.Effect<ReadonlyMap<string, A>, E, R>
    /**
     * To be run before a query whose values tell their names themselves. What it gives keeps them after the query, unless
     * anything was invalidated meanwhile.
     */
    readonly keeping: Effect.Effect<Keep>
    /** Invalidates every entry of the tags. Call it after the commit and before the answer. */
    readonly invalidate: (tags: ReadonlyArray<string>) => Effect.Effect<void>
    /** Whether this process has begun to invalidate the tag after this moment of `performance.now()`, and has done so. */
    readonly isInvalidatedSince: (tag: string, atMs: number) => boolean
  }
>()("@holdfast/server/Cache") {
  static readonly layer: Layer.Layer<Cache, never, RedisStore | KeyNamespace | Database | PlatformConfig> =
    Layer.effect(
      Cache,
      Effect.gen(function* () {
        const { cache, secret } = yield* PlatformConfig
        if (cache === undefined) return noCache
        const entries = yield* makeEntries(cache, secret)
        return yield* makeCache(entries, yield* makeTrust(entries.probe))
      })
    )
}

/** Invalidates every entry of the tags; see {@link Cache}. */
export const invalidate = (tags: ReadonlyArray<string>): Effect.Effect<void, never, Cache> =>
  Cache.use((cache) => cache.invalidate(tags))

const keepNothing: Keep = () => Effect.void

const noCache: Cache["Service"] = {
  getMany: (_, keys, load) =>
    keys.length === 0 ? Effect.succeed(new Map()) : load(keys.map(({ name }) => name)),
  keeping: Effect.succeed(keepNothing),
  invalidate: () => Effect.void,
  isInvalidatedSince: () => true
}

/** Tags whose last invalidation a process remembers. */
const MAXIMUM_REMEMBERED = 10_000

const rememberInvalidations = () => {
  const startedAtMs = new LRUCache<string, number>({ max: MAXIMUM_REMEMBERED })
  return {
    note: (tags: ReadonlyArray<string>, atMs: number) => {
      for (const tag of tags) startedAtMs.set(tag, atMs)
    },
    isSince: (tag: string, atMs: number) => (startedAtMs.get(tag) ?? Number.NEGATIVE_INFINITY) >= atMs
  }
}

const makeCache = (entries: Entries, trust: Trust): Effect.Effect<Cache["Service"], never, Scope.Scope> =>
  Effect.map(makeGetMany(entries, trust), (getMany) => {
    const invalidations = rememberInvalidations()
    return {
      getMany,
      keeping: Effect.gen(function* () {
        const generation = yield* trust.readable
        if (generation === undefined) return keepNothing
        const keys = yield* entries.keysOf(generation)
        return keeper(entries, keys, yield* entries.lastChange(keys))
      }).pipe(Effect.orElseSucceed(() => keepNothing)),
      isInvalidatedSince: invalidations.isSince,
      invalidate: (tags) =>
        Effect.suspend(() => {
          if (tags.length === 0 || trust.isSuspended()) return Effect.void
          const startedAtMs = performance.now()
          return trust.writable.pipe(
            Effect.flatMap(entries.keysOf),
            Effect.flatMap((keys) => entries.invalidate(keys, tags)),
            Effect.timeout(INVALIDATION_DEADLINE_MS),
            Effect.map(() => invalidations.note(tags, startedAtMs)),
            Effect.catch(() => Effect.andThen(Metric.update(lostInvalidations, tags.length), trust.suspend))
          )
        })
    }
  })

/** The versions are read before the question whether anything has changed: a later change ends them. */
const keeper =
  (entries: Entries, keys: Keys, before: string): Keep =>
  (schema, values) =>
    Effect.gen(function* () {
      const versions = yield* entries.versions(
        keys,
        [...values.keys()].map(({ tag }) => tag)
      )
      if (values.size === 0 || (yield* entries.lastChange(keys)) !== before) return
      const loaded = [...values].map(([key, value]) => ({
        load: { key, versions: { own: versions.get(key.tag)!, absent: undefined } },
        value
      }))
      yield* entries.write(schema, keys, loaded)
    }).pipe(Effect.ignore)

const makeGetMany = (entries: Entries, trust: Trust) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const load = yield* makeFlights(entries)

    const lookUp = <A>(schema: ValueSchema<A>, keys: Keys, wanted: ReadonlyArray<CacheKey>) =>
      entries.lookUp(schema, keys, wanted).pipe(Effect.orElseSucceed(() => undefined))
    const readableKeys = Effect.flatMap(trust.readable, (generation) =>
      generation === undefined
        ? Effect.succeed(undefined)
        : Effect.orElseSucceed(entries.keysOf(generation), () => undefined)
    )

    return <A, E, R>(
      schema: ValueSchema<A>,
      wanted: ReadonlyArray<CacheKey>,
      loader: Loader<A, E, R>
    ): Effect.Effect<ReadonlyMap<string, A>, E, R> =>
      Effect.gen(function* () {
        if (wanted.length === 0) return new Map<string, A>()
        const keys = yield* readableKeys
        const lookups = keys === undefined ? undefined : yield* lookUp(schema, keys, wanted)
        if (keys === undefined || lookups === undefined) {
          yield* counted("away", wanted.length)
          return yield* loader(wanted.map(({ name }) => name))
        }
        const { missing, stale, values } = sorted(wanted, lookups)
        yield* counted("hit", wanted.length - missing.length - stale.length)
        // A stale value is valid: the caller gets it while the next one is loaded.
        if (stale.length > 0) {
          yield* counted("stale", stale.length)
          yield* Effect.forkIn(Effect.exit(load(schema, keys, stale, loader)), scope)
        }
        if (missing.length > 0) {
          yield* counted("miss", missing.length)
          const pending = yield* versioned(entries, keys, missing)
          if (pending === undefined) return yield* loader(wanted.map(({ name }) => name))
          for (const [name, value] of yield* load(schema, keys, pending, loader))
            if (value !== undefined) values.set(name, value)
        }
        return values
      })
  })

/** Splits keys into values that are cached and keys to load. Stale ones are among both. */
const sorted = <A>(wanted: ReadonlyArray<CacheKey>, lookups: ReadonlyArray<Lookup<A>>) => {
  const values = new Map<string, A>()
  const missing: Array<Missing> = []
  const stale: Array<Pending> = []
  wanted.forEach((key, at) => {
    const { found, versions } = lookups[at]!
    if (found === undefined) missing.push({ key, versions })
    else if (found.value !== undefined) values.set(key.name, found.value)
    if (found?.isFresh === false) stale.push({ key, versions } as Pending)
  })
  return { values, missing, stale }
}

interface Missing {
  readonly key: CacheKey
  readonly versions: Lookup<unknown>["versions"]
}

/** Gives versions to tags that have none. `undefined`: Redis is away. */
const versioned = (
  entries: Entries,
  keys: Keys,
  missing: ReadonlyArray<Missing>
): Effect.Effect<ReadonlyArray<Pending> | undefined> => {
  const lacking = missing.flatMap(({ key: { absentTag, tag }, versions }) => [
    ...(versions.own === undefined ? [tag] : []),
    ...(versions.absent === undefined && absentTag !== undefined ? [absentTag] : [])
  ])
  const complete =
    lacking.length === 0 ? Effect.succeed(new Map<string, string>()) : entries.versions(keys, lacking)
  return complete.pipe(
    Effect.map((added) =>
      missing.map(({ key, versions: { absent, own } }) => ({
        key,
        versions: {
          own: own ?? added.get(key.tag)!,
          absent: absent ?? (key.absentTag === undefined ? undefined : added.get(key.absentTag))
        }
      }))
    ),
    Effect.orElseSucceed(() => undefined)
  )
}

const counted = (outcome: keyof typeof lookupsOf, count: number) =>
  count === 0 ? Effect.void : Metric.update(lookupsOf[outcome], count)
