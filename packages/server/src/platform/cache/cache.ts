import { Clock, Context, Deferred, Effect, Exit, Layer, Metric, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { PlatformConfig } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { askRedis, RedisUnavailable } from "@holdfast/locks"
import { RedisStore } from "@holdfast/locks"

/** One thing that may be kept: under a name, and good until its tag is invalidated. */
export interface CacheKey {
  readonly name: string
  /** What it was made of, `product:tea` for instance. Whoever changes that invalidates the tag. */
  readonly tag: string
}

/** Values are JSON. A loader gets the names that were missing and returns what it found; what is absent is not kept. */
export type Loader<E, R> = (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, unknown>, E, R>

/** How long the version of a tag is kept; what was made under it counts for nothing afterwards. */
const VERSION_KEPT_MS = 600_000

/** How long one process may keep the others waiting for what it loads, and how often they look. */
const FLIGHT_MS = 1_000
const LOOK_AGAIN_MS = 10

/** A cache that cannot be told quickly is not waited for; see {@link Cache.invalidate}. */
const INVALIDATED_WITHIN_MS = 500

const lookups = Metric.counter("holdfast_cache_lookups_total", {
  description: "What became of lookups: hit, stale, miss, or away (Redis did not answer)",
  incremental: true
})
const lostInvalidations = Metric.counter("holdfast_cache_lost_invalidations_total", {
  description:
    "Invalidations that Redis did not take; the events and the lifetime of the entries make up for them",
  incremental: true
})

/**
 * Keeps what was read from the database in Redis. Nobody gets what is older than an invalidation that has returned:
 * every entry remembers the version that its tag had *before* the database was read, and counts only while the tag
 * still has it. So a reader who was slow, and writes down what somebody has changed meanwhile, writes down nothing that
 * anybody will take. Redis away: everything is read from the database.
 */
export class Cache extends Context.Service<
  Cache,
  {
    /** Values by name: kept ones, and for the rest what the loader finds. One load a name at a time, over all processes. */
    readonly getMany: <E, R>(
      keys: ReadonlyArray<CacheKey>,
      load: Loader<E, R>
    ) => Effect.Effect<ReadonlyMap<string, unknown>, E, R>
    /** Makes all that is kept under the tags count for nothing. Called after the commit and before the answer. */
    readonly invalidate: (tags: ReadonlyArray<string>) => Effect.Effect<void>
  }
>()("@holdfast/server/Cache") {
  static readonly layer: Layer.Layer<Cache, never, RedisStore | KeyNamespace | PlatformConfig> = Layer.effect(
    Cache,
    Effect.gen(function* () {
      const { cache } = yield* PlatformConfig
      return cache === undefined ? noCache : yield* makeCache(cache.freshMs, cache.staleMs)
    })
  )
}

const noCache: Cache["Service"] = {
  getMany: (keys, load) =>
    keys.length === 0 ? Effect.succeed(new Map()) : load(keys.map(({ name }) => name)),
  invalidate: () => Effect.void
}

interface Entry {
  /** The version of the tag when the entry was made. */
  readonly version: string
  readonly freshUntilMs: number
  readonly value: unknown
}

/** What Redis says of a key: the tag's version now, and the entry when it counts. */
interface Found {
  readonly version: string
  readonly entry: Entry | undefined
}

const makeCache = (
  freshMs: number,
  staleMs: number
): Effect.Effect<Cache["Service"], never, RedisStore | KeyNamespace | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const store = yield* RedisStore
    const installation = yield* KeyNamespace
    const ask = <A>(run: (client: RedisStore["Service"]["client"]) => Promise<A>) =>
      Effect.provideService(askRedis(run), RedisStore, store)
    const prefix = installation.prefix.pipe(
      Effect.map((name) => `${name}cache:1:`),
      Effect.mapError((cause) => new RedisUnavailable({ cause }))
    )
    /** Loads under way in this process, by name and version: a later version is another load. */
    const flights = new Map<string, Deferred.Deferred<ReadonlyMap<string, unknown>>>()

    const look = (at: string, keys: ReadonlyArray<CacheKey>) =>
      ask(async (client) => {
        const values = await client.mget(keys.flatMap(({ name, tag }) => [`${at}v:${tag}`, `${at}e:${name}`]))
        return Promise.all(
          keys.map(async ({ tag }, index): Promise<Found> => {
            const version = values[index * 2] ?? (await firstVersion(client, `${at}v:${tag}`))
            return { version, entry: entryOf(values[index * 2 + 1], version) }
          })
        )
      })

    const keep = (at: string, found: ReadonlyMap<string, Found>, values: ReadonlyMap<string, unknown>) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
        ask((client) =>
          Promise.all(
            [...values].map(([name, value]) => {
              // A little chance keeps entries that were made together from ending together.
              const jitter = 0.8 + Math.random() * 0.4
              const entry: Entry = {
                version: found.get(name)!.version,
                freshUntilMs: nowMs + freshMs * jitter,
                value
              }
              const keptMs = Math.round((freshMs + staleMs) * jitter)
              return client.set(`${at}e:${name}`, JSON.stringify(entry), "PX", keptMs)
            })
          )
        )
      ).pipe(Effect.ignore)

    /** Loads names that nobody else is loading; for the others it waits until they are there, but not for long. */
    const loadOnce = <E, R>(at: string, missing: ReadonlyMap<string, Found>, load: Loader<E, R>) =>
      Effect.gen(function* () {
        const names = [...missing.keys()]
        const flightOf = (name: string) => `${name}@${missing.get(name)!.version}`
        const taken = yield* ask((client) =>
          Promise.all(names.map((name) => client.set(`${at}l:${flightOf(name)}`, "1", "PX", FLIGHT_MS, "NX")))
        ).pipe(Effect.catchTag("RedisUnavailable", () => Effect.succeed(names.map(() => "OK" as const))))
        const ours = names.filter((_, index) => taken[index] === "OK")
        const loaded = new Map<string, unknown>()
        const loadAndKeep = Effect.fnUntraced(function* (some: ReadonlyArray<string>) {
          if (some.length === 0) return
          const values = yield* load(some)
          for (const [name, value] of values) loaded.set(name, value)
          yield* keep(at, missing, values)
          yield* ask((client) => client.del(some.map((name) => `${at}l:${flightOf(name)}`))).pipe(
            Effect.ignore
          )
        })
        yield* loadAndKeep(ours)
        const others = names.filter((_, index) => taken[index] !== "OK")
        yield* awaitOthers(at, others, missing, loaded)
        yield* loadAndKeep(others.filter((name) => !loaded.has(name)))
        return loaded
      })

    const awaitOthers = (
      at: string,
      names: ReadonlyArray<string>,
      missing: ReadonlyMap<string, Found>,
      loaded: Map<string, unknown>
    ) =>
      Effect.gen(function* () {
        const until = (yield* Clock.currentTimeMillis) + FLIGHT_MS
        let waiting = names
        while (waiting.length > 0 && (yield* Clock.currentTimeMillis) < until) {
          yield* Effect.sleep(LOOK_AGAIN_MS)
          const texts = yield* ask((client) => client.mget(waiting.map((name) => `${at}e:${name}`)))
          waiting.forEach((name, index) => {
            const entry = entryOf(texts[index], missing.get(name)!.version)
            if (entry !== undefined) loaded.set(name, entry.value)
          })
          waiting = waiting.filter((name) => !loaded.has(name))
        }
      }).pipe(Effect.ignore)

    /** In this process, too, equal loads are one: those who come later wait for the first. */
    const joined = <E, R>(at: string, missing: ReadonlyMap<string, Found>, load: Loader<E, R>) =>
      Effect.gen(function* () {
        const id = JSON.stringify([...missing].map(([name, { version }]) => [name, version]))
        const flight = flights.get(id)
        if (flight !== undefined) return yield* Deferred.await(flight)
        const own = yield* Deferred.make<ReadonlyMap<string, unknown>>()
        flights.set(id, own)
        return yield* loadOnce(at, missing, load).pipe(
          Effect.onExit((exit) => {
            flights.delete(id)
            // Those who wait ask for themselves when the first one failed.
            return Exit.isSuccess(exit)
              ? Deferred.succeed(own, exit.value)
              : Deferred.succeed(own, new Map<string, unknown>([[FAILED, true]]))
          })
        )
      }).pipe(
        Effect.flatMap((values) => (values.has(FAILED) ? load([...missing.keys()]) : Effect.succeed(values)))
      )

    const getMany: Cache["Service"]["getMany"] = (keys, load) =>
      Effect.gen(function* () {
        if (keys.length === 0) return new Map<string, unknown>()
        const looked = yield* Effect.flatMap(prefix, (at) =>
          Effect.map(look(at, keys), (found) => ({ at, found }))
        ).pipe(Effect.catchTag("RedisUnavailable", () => Effect.succeed(undefined)))
        if (looked === undefined) {
          yield* counted("away", keys.length)
          return yield* load(keys.map(({ name }) => name))
        }
        const { at, found } = looked
        const nowMs = yield* Clock.currentTimeMillis
        const values = new Map<string, unknown>()
        const missing = new Map<string, Found>()
        const stale = new Map<string, Found>()
        keys.forEach(({ name }, index) => {
          const state = found[index]!
          if (state.entry === undefined) missing.set(name, state)
          else values.set(name, state.entry.value)
          if (state.entry !== undefined && state.entry.freshUntilMs <= nowMs) stale.set(name, state)
        })
        yield* counted("hit", keys.length - missing.size - stale.size)
        yield* counted("stale", stale.size)
        yield* counted("miss", missing.size)
        // What is past its time, but was not invalidated, is good enough for now; somebody fetches the next one.
        if (stale.size > 0) yield* Effect.forkIn(Effect.exit(joined(at, stale, load)), scope)
        if (missing.size > 0)
          for (const [name, value] of yield* joined(at, missing, load)) values.set(name, value)
        return values
      })

    const invalidate: Cache["Service"]["invalidate"] = (tags) =>
      tags.length === 0
        ? Effect.void
        : Effect.flatMap(prefix, (at) =>
            ask((client) =>
              Promise.all(tags.map((tag) => client.set(`${at}v:${tag}`, randomUUID(), "PX", VERSION_KEPT_MS)))
            )
          ).pipe(
            Effect.timeout(INVALIDATED_WITHIN_MS),
            Effect.catch(() => Metric.update(lostInvalidations, tags.length)),
            Effect.asVoid
          )

    return { getMany, invalidate }
  })

/**
 * A tag that has no version gets one that it never had before: what was kept under an earlier one, which Redis dropped
 * for want of memory, must not count again.
 */
const firstVersion = async (client: RedisStore["Service"]["client"], key: string): Promise<string> => {
  const version = randomUUID()
  return (await client.set(key, version, "PX", VERSION_KEPT_MS, "NX", "GET")) ?? version
}

/** An entry that counts under this version of its tag. What somebody else has left there counts as nothing. */
const entryOf = (text: string | null | undefined, version: string): Entry | undefined => {
  try {
    const entry = text == null ? undefined : (JSON.parse(text) as Entry)
    return entry?.version === version ? entry : undefined
  } catch {
    return undefined
  }
}

/** Stands for a load that failed; no name of an entry has a blank. */
const FAILED = " failed"

const counted = (outcome: "hit" | "stale" | "miss" | "away", count: number) =>
  count === 0 ? Effect.void : Metric.update(Metric.withAttributes(lookups, { outcome }), count)

/** Makes what is kept under the tags count for nothing. */
export const invalidate = (tags: ReadonlyArray<string>): Effect.Effect<void, never, Cache> =>
  Cache.use((cache) => cache.invalidate(tags))
