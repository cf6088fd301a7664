import type { RedisStore } from "@holdfast/locks"
import { Clock, Context, Deferred, Effect, Exit, Layer, Metric, type Scope } from "effect"
import { PlatformConfig } from "../config.ts"
import type { KeyNamespace } from "../db/key-namespace.ts"
import { type CacheKey, type Entries, FLIGHT_MS, type Lookup, makeEntries, type Versions } from "./entries.ts"

/** Loads values (JSON) by name. A name that is absent from the result is not cached. */
export type Loader<E, R> = (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, unknown>, E, R>

/** How often a process looks for the value that another process is loading. */
const POLL_MS = 10

/** An invalidation does not wait longer than this for Redis. */
const INVALIDATION_DEADLINE_MS = 500

const lookups = Metric.counter("holdfast_cache_lookups_total", {
  description: "Lookups by outcome: hit, stale, miss, or away (Redis did not answer)",
  incremental: true
})
const lostInvalidations = Metric.counter("holdfast_cache_lost_invalidations_total", {
  description:
    "Invalidations that did not reach Redis; the invalidation by event and the entries' lifetime make up for them",
  incremental: true
})

/**
 * Caches database reads in Redis. Reads never return data older than a completed invalidation: an entry carries the
 * version that its tag had before the database was read, and is valid only while the tag has that version. So a slow
 * reader cannot store data that changed meanwhile. Without Redis, everything is read from the database.
 */
export class Cache extends Context.Service<
  Cache,
  {
    /** Values by name: cached ones, and what the loader finds for the rest. Over all processes, one loads a name at a time. */
    readonly getMany: <E, R>(
      keys: ReadonlyArray<CacheKey>,
      load: Loader<E, R>
    ) => Effect.Effect<ReadonlyMap<string, unknown>, E, R>
    /** Invalidates every entry of the tags. Call it after the commit and before the answer. */
    readonly invalidate: (tags: ReadonlyArray<string>) => Effect.Effect<void>
    /** The same for a caller that tries again: fails when Redis did not take it. */
    readonly invalidateSurely: (tags: ReadonlyArray<string>) => Effect.Effect<void, Error>
  }
>()("@holdfast/server/Cache") {
  static readonly layer: Layer.Layer<Cache, never, RedisStore | KeyNamespace | PlatformConfig> = Layer.effect(
    Cache,
    Effect.gen(function* () {
      const { cache } = yield* PlatformConfig
      return cache === undefined ? noCache : yield* makeCache(yield* makeEntries(cache))
    })
  )
}

/** Invalidates every entry of the tags; see {@link Cache}. */
export const invalidate = (tags: ReadonlyArray<string>): Effect.Effect<void, never, Cache> =>
  Cache.use((cache) => cache.invalidate(tags))

const noCache: Cache["Service"] = {
  getMany: (keys, load) =>
    keys.length === 0 ? Effect.succeed(new Map()) : load(keys.map(({ name }) => name)),
  invalidate: () => Effect.void,
  invalidateSurely: () => Effect.void
}

const makeCache = (entries: Entries): Effect.Effect<Cache["Service"], never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const load = sharedFlights(entries)
    const invalidateSurely = (tags: ReadonlyArray<string>) =>
      tags.length === 0
        ? Effect.void
        : Effect.asVoid(Effect.timeout(entries.invalidate(tags), INVALIDATION_DEADLINE_MS))
    return {
      getMany: (keys, loader) =>
        Effect.gen(function* () {
          if (keys.length === 0) return new Map<string, unknown>()
          const found = yield* entries.lookUp(keys).pipe(Effect.catch(() => Effect.succeed(undefined)))
          if (found === undefined) {
            yield* counted("away", keys.length)
            return yield* loader(keys.map(({ name }) => name))
          }
          const { missing, stale, values } = sorted(keys, found, yield* Clock.currentTimeMillis)
          yield* counted("hit", values.size - stale.size)
          yield* counted("stale", stale.size)
          yield* counted("miss", missing.size)
          // A stale value is valid: the caller gets it while the next one is loaded.
          if (stale.size > 0) yield* Effect.forkIn(Effect.exit(load(stale, loader)), scope)
          if (missing.size > 0)
            for (const [name, value] of yield* load(missing, loader)) values.set(name, value)
          return values
        }),
      invalidateSurely,
      invalidate: (tags) =>
        invalidateSurely(tags).pipe(Effect.catch(() => Metric.update(lostInvalidations, tags.length)))
    }
  })

/** Splits keys into values that are cached and names to load. Stale names are among both. */
const sorted = (keys: ReadonlyArray<CacheKey>, found: ReadonlyArray<Lookup>, nowMs: number) => {
  const values = new Map<string, unknown>()
  const missing = new Map<string, string>()
  const stale = new Map<string, string>()
  keys.forEach(({ name }, index) => {
    const { entry, version } = found[index]!
    if (entry === undefined) missing.set(name, version)
    else values.set(name, entry.value)
    if (entry !== undefined && entry.freshUntilMs <= nowMs) stale.set(name, version)
  })
  return { values, missing, stale }
}

const counted = (outcome: "hit" | "stale" | "miss" | "away", count: number) =>
  count === 0 ? Effect.void : Metric.update(Metric.withAttributes(lookups, { outcome }), count)

/** Loads names so that callers in this process share equal flights: later callers wait for the first. */
const sharedFlights = (entries: Entries) => {
  /** A flight that failed ends with `undefined`. */
  const flights = new Map<string, Deferred.Deferred<ReadonlyMap<string, unknown> | undefined>>()
  return <E, R>(
    versions: Versions,
    loader: Loader<E, R>
  ): Effect.Effect<ReadonlyMap<string, unknown>, E, R> =>
    Effect.gen(function* () {
      const id = JSON.stringify([...versions])
      const flight = flights.get(id)
      // Only the caller that started a failed flight gets its error; the others load by themselves.
      if (flight !== undefined)
        return (yield* Deferred.await(flight)) ?? (yield* loader([...versions.keys()]))
      const own = yield* Deferred.make<ReadonlyMap<string, unknown> | undefined>()
      flights.set(id, own)
      return yield* loadOnce(entries, versions, loader).pipe(
        Effect.onExit((exit) => {
          flights.delete(id)
          return Deferred.succeed(own, Exit.isSuccess(exit) ? exit.value : undefined)
        })
      )
    })
}

/** Loads the names that no other process is loading, and waits a limited time for the others before it loads them too. */
const loadOnce = <E, R>(entries: Entries, versions: Versions, loader: Loader<E, R>) =>
  Effect.gen(function* () {
    const loaded = new Map<string, unknown>()
    const loadAndWrite = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
      if (names.length === 0) return
      const endFlights = (absent: ReadonlyArray<string>) =>
        Effect.ignore(entries.endFlights(names, versions, absent))
      const values = yield* Effect.onError(loader(names), () => endFlights(names))
      for (const [name, value] of values) loaded.set(name, value)
      yield* Effect.ignore(entries.write(versions, values))
      yield* endFlights(names.filter((name) => !values.has(name)))
    })
    const names = [...versions.keys()]
    const own = yield* entries.takeFlights(versions).pipe(Effect.catch(() => Effect.succeed(names)))
    yield* loadAndWrite(own)
    const others = names.filter((name) => !own.includes(name))
    yield* Effect.ignore(awaitOthers(entries, versions, others, loaded))
    yield* loadAndWrite(others.filter((name) => !loaded.has(name)))
    return loaded
  })

/** Adds to `loaded` what other processes write within the duration of a flight. */
const awaitOthers = Effect.fnUntraced(function* (
  entries: Entries,
  versions: Versions,
  names: ReadonlyArray<string>,
  loaded: Map<string, unknown>
) {
  const deadlineMs = (yield* Clock.currentTimeMillis) + FLIGHT_MS
  let waiting = names
  while (waiting.length > 0 && (yield* Clock.currentTimeMillis) < deadlineMs) {
    yield* Effect.sleep(POLL_MS)
    const found = yield* entries.read(waiting, versions)
    waiting.forEach((name, index) => {
      const entry = found[index]
      if (entry !== undefined) loaded.set(name, entry.value)
    })
    waiting = waiting.filter((name) => !loaded.has(name))
  }
})
