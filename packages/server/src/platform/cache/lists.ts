import { PAGE_SIZE } from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { Cache } from "./cache.ts"
import type { CacheKey } from "./entries.ts"
import type { ValueSchema } from "./entry.ts"
import { makingOnce } from "./shared.ts"

/** A kind of things that are listed. */
interface Listed<Id extends string, Item extends object, E, R> {
  readonly id: ValueSchema<Id>
  readonly item: ValueSchema<Item>
  readonly idOf: (item: Item) => Id
  readonly keyOf: (id: Id) => CacheKey
  readonly find: (ids: ReadonlyArray<Id>) => Effect.Effect<ReadonlyArray<Item>, E, R>
}

/** How many items the list behind a page has: one of two sizes, because the sizes of pages are many. */
const listSizeOf = (limit: number): number =>
  limit <= PAGE_SIZE.default ? PAGE_SIZE.default : PAGE_SIZE.maximum

/** Reads things by ids and by the keys of these. Things are in the order of the keys; those that are not there are left out. */
const makeByKeys = <Id extends string, Item extends object, E, R>(kind: Listed<Id, Item, E, R>) =>
  Effect.fnUntraced(function* (ids: ReadonlyArray<Id>, keys: ReadonlyArray<CacheKey>) {
    const cache = yield* Cache
    const load = (names: ReadonlyArray<string>) => {
      const wanted = new Set(names)
      return Effect.map(
        kind.find(keys.flatMap(({ name }, at) => (wanted.has(name) ? [ids[at]!] : []))),
        (items) => new Map(items.map((item) => [kind.keyOf(kind.idOf(item)).name, item]))
      )
    }
    const cached = yield* cache.getMany(kind.item, keys, load)
    return keys.flatMap(({ name }) => cached.get(name) ?? [])
  })

/**
 * Reads the ids of a list. The first `wanted` things that its query finds are cached, too. An empty list is remembered
 * only in a place that it shares.
 */
const makeIds = <Id extends string, Item extends object, E, R>(kind: Listed<Id, Item, E, R>) => {
  const Ids = Schema.Array(kind.id)
  return Effect.fnUntraced(function* <E1, R1>(
    key: CacheKey,
    query: Effect.Effect<ReadonlyArray<Item>, E1, R1>,
    wanted: number
  ) {
    const cache = yield* Cache
    const load = Effect.fnUntraced(function* () {
      const keep = yield* cache.keeping
      const items = yield* query
      const things = items.slice(0, wanted).map((item) => [kind.keyOf(kind.idOf(item)), item] as const)
      yield* keep(kind.item, new Map(things))
      const isRemembered = items.length > 0 || key.slot !== undefined
      return new Map(isRemembered ? [[key.name, items.map(kind.idOf)]] : [])
    })
    const cached = yield* cache.getMany(Ids, [key], load)
    return cached.get(key.name) ?? []
  })
}

/** Caches things one by one, and lists as the ids of their things: a change of one thing changes no list. */
export const makeListed = <Id extends string, Item extends object, E, R>(kind: Listed<Id, Item, E, R>) => {
  const byKeys = makeByKeys(kind)
  const ids = makeIds(kind)
  const keysOnce = makingOnce<ReadonlyArray<CacheKey>>()
  const pageOnce = makingOnce<Page<Item>>()

  /** The first page of a list. */
  const firstPage = Effect.fnUntraced(function* <E1, R1>({
    keyOf,
    limit,
    pageOf,
    query
  }: FirstPage<Item, E1, R1>) {
    const size = listSizeOf(limit)
    // The thing beyond the page tells that there is a next page.
    const all = yield* ids(keyOf(size), query(size + 1), limit + 1)
    const keys = keysOnce([all], limit, () => all.slice(0, limit + 1).map(kind.keyOf))
    const items = yield* byKeys(all, keys)
    return pageOnce([all, ...items], limit, () => pageOf(items, limit))
  })

  /** Things in the order of their ids; ids without a thing are left out. */
  const byIds = (some: ReadonlyArray<Id>) => byKeys(some, some.map(kind.keyOf))

  return { byIds, firstPage }
}

interface Page<Item> {
  readonly items: ReadonlyArray<Item>
  readonly nextCursor?: string
}

interface FirstPage<Item, E, R> {
  readonly limit: number
  /** The key of the list of this size. */
  readonly keyOf: (size: number) => CacheKey
  readonly query: (limit: number) => Effect.Effect<ReadonlyArray<Item>, E, R>
  readonly pageOf: (items: ReadonlyArray<Item>, limit: number) => Page<Item>
}
