import type { RedisStore } from "@holdfast/locks"
import { Clock, Context, Deferred, Effect, Exit, Layer, Metric, type Scope } from "effect"
import { PlatformConfig } from "../config.ts"
import type { KeyNamespace } from "../db/key-namespace.ts"
import type { Database } from "../db/database.ts"
import {
  type CacheKey,
  type Entries,
  FLIGHT_MS,
  type Lookup,
  makeEntries,
  type Validity,
  type ValueSchema
} from "./entries.ts"
import { makeTrust, type Trust } from "./trust.ts"

/** Loads values by name. A name that is absent from the result is not cached. */
export type Loader<A, E, R> = (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, A>, E, R>

/** How often a process looks for the value that another process is loading. */
const POLL_MS = 10

/** An invalidation does not wait longer than this for Redis. */
const INVALIDATION_DEADLINE_MS = 500

const lookups = Metric.counter("holdfast_cache_lookups_total", {
  description: "Lookups by outcome: hit, stale, miss, or away (Redis did not answer, or may not be trusted)",
  incremental: true
})
const lostInvalidations = Metric.counter("holdfast_cache_lost_invalidations_total", {
  description:
    "Invalidations that did not reach Redis, so that every process stopped using the cache for a while",
  incremental: true
})

/**
 * Caches database reads in Redis. Reads never return data older than a completed invalidation: an entry carries the
 * version that its tag had before the database was read, and is valid only while the tag has that version. So a slow
 * reader cannot store data that changed meanwhile. An invalidation that Redis does not take suspends the cache in all
 * processes, see {@link makeTrust}. Without Redis, everything is read from the database.
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
    /** Invalidates every entry of the tags. Call it after the commit and before the answer. */
    readonly invalidate: (tags: ReadonlyArray<string>) => Effect.Effect<void>
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

const noCache: Cache["Service"] = {
  getMany: (_, keys, load) =>
    keys.length === 0 ? Effect.succeed(new Map()) : load(keys.map(({ name }) => name)),
  invalidate: () => Effect.void
}

const makeCache = (entries: Entries, trust: Trust): Effect.Effect<Cache["Service"], never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const load = sharedFlights(entries)
    return {
      getMany: <A, E, R>(schema: ValueSchema<A>, keys: ReadonlyArray<CacheKey>, loader: Loader<A, E, R>) =>
        Effect.gen(function* () {
          if (keys.length === 0) return new Map<string, A>()
          const generation = yield* trust.readable
          const found =
            generation === undefined
              ? undefined
              : yield* entries
                  .lookUp(schema, generation, keys)
                  .pipe(Effect.catch(() => Effect.succeed(undefined)))
          if (generation === undefined || found === undefined) {
            yield* counted("away", keys.length)
            return yield* loader(keys.map(({ name }) => name))
          }
          const { missing, stale, values } = sorted(keys, found)
          yield* counted("hit", values.size - stale.size)
          yield* counted("stale", stale.size)
          yield* counted("miss", missing.size)
          // A stale value is valid: the caller gets it while the next one is loaded.
          if (stale.size > 0)
            yield* Effect.forkIn(Effect.exit(load(schema, { generation, versions: stale }, loader)), scope)
          if (missing.size > 0) {
            const loaded = yield* load(schema, { generation, versions: missing }, loader)
            for (const [name, value] of loaded) values.set(name, value)
          }
          return values
        }),
      invalidate: (tags) =>
        Effect.suspend(() => {
          if (tags.length === 0 || trust.isSuspended()) return Effect.void
          return Effect.flatMap(trust.writable, (generation) => entries.invalidate(generation, tags)).pipe(
            Effect.timeout(INVALIDATION_DEADLINE_MS),
            Effect.asVoid,
            Effect.catch(() => Effect.andThen(Metric.update(lostInvalidations, tags.length), trust.suspend))
          )
        })
    }
  })

/** Splits keys into values that are cached and names to load. Stale names are among both. */
const sorted = <A>(keys: ReadonlyArray<CacheKey>, found: ReadonlyArray<Lookup<A>>) => {
  const values = new Map<string, A>()
  const missing = new Map<string, string>()
  const stale = new Map<string, string>()
  keys.forEach(({ name }, index) => {
    const { entry, version } = found[index]!
    if (entry === undefined) missing.set(name, version)
    else values.set(name, entry.value)
    if (entry?.isFresh === false) stale.set(name, version)
  })
  return { values, missing, stale }
}

const counted = (outcome: "hit" | "stale" | "miss" | "away", count: number) =>
  count === 0 ? Effect.void : Metric.update(Metric.withAttributes(lookups, { outcome }), count)

/** Loads names so that callers in this process share equal flights: later callers wait for the first. */
const sharedFlights = (entries: Entries) => {
  /** A flight that failed ends with `undefined`. Equal flights load values of the same kind. */
  const flights = new Map<string, Deferred.Deferred<ReadonlyMap<string, unknown> | undefined>>()
  return <A, E, R>(
    schema: ValueSchema<A>,
    validity: Validity,
    loader: Loader<A, E, R>
  ): Effect.Effect<ReadonlyMap<string, A>, E, R> =>
    Effect.gen(function* () {
      const id = JSON.stringify([validity.generation, ...validity.versions])
      const flight = flights.get(id)
      // Only the caller that started a failed flight gets its error; the others load by themselves.
      if (flight !== undefined)
        return (
          ((yield* Deferred.await(flight)) as ReadonlyMap<string, A> | undefined) ??
          (yield* loader([...validity.versions.keys()]))
        )
      const own = yield* Deferred.make<ReadonlyMap<string, unknown> | undefined>()
      flights.set(id, own)
      return yield* loadOnce(entries, schema, validity, loader).pipe(
        Effect.onExit((exit) => {
          flights.delete(id)
          return Deferred.succeed(own, Exit.isSuccess(exit) ? exit.value : undefined)
        })
      )
    })
}

/** Loads the names that no other process is loading, and waits a limited time for the others before it loads them too. */
const loadOnce = <A, E, R>(
  entries: Entries,
  schema: ValueSchema<A>,
  validity: Validity,
  loader: Loader<A, E, R>
) =>
  Effect.gen(function* () {
    const loaded = new Map<string, A>()
    const loadAndWrite = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
      if (names.length === 0) return
      const endFlights = (absent: ReadonlyArray<string>) =>
        Effect.ignore(entries.endFlights(validity, names, absent))
      const values = yield* Effect.onError(loader(names), () => endFlights(names))
      for (const [name, value] of values) loaded.set(name, value)
      yield* Effect.ignore(entries.write(schema, validity, values))
      yield* endFlights(names.filter((name) => !values.has(name)))
    })
    const names = [...validity.versions.keys()]
    const own = yield* entries.takeFlights(validity).pipe(Effect.catch(() => Effect.succeed(names)))
    yield* loadAndWrite(own)
    const others = names.filter((name) => !own.includes(name))
    yield* Effect.ignore(awaitOthers(entries, schema, validity, others, loaded))
    yield* loadAndWrite(others.filter((name) => !loaded.has(name)))
    return loaded
  })

/** Adds to `loaded` what other processes write within the duration of a flight. */
const awaitOthers = Effect.fnUntraced(function* <A>(
  entries: Entries,
  schema: ValueSchema<A>,
  validity: Validity,
  names: ReadonlyArray<string>,
  loaded: Map<string, A>
) {
  const deadlineMs = (yield* Clock.currentTimeMillis) + FLIGHT_MS
  let waiting = names
  while (waiting.length > 0 && (yield* Clock.currentTimeMillis) < deadlineMs) {
    yield* Effect.sleep(POLL_MS)
    const found = yield* entries.read(schema, validity, waiting)
    waiting.forEach((name, index) => {
      const entry = found[index]
      if (entry !== undefined) loaded.set(name, entry.value)
    })
    waiting = waiting.filter((name) => !loaded.has(name))
  }
})
