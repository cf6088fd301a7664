import { Clock, Deferred, Effect, Exit, Fiber, type Scope } from "effect"
import type { ValueSchema } from "./entry.ts"
import { type Entries, FLIGHT_MS, type Keys, type Pending } from "./entries.ts"

/** Loads values by name. A name that is absent from the result has no value. */
export type Loader<A, E, R> = (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, A>, E, R>

/** What loads have given by name; `undefined`: there is no such value. */
type Values<A> = Map<string, A | undefined>

/** How often a process looks for the value that another process is loading. */
const POLL_MS = 10

/** A load that others wait for. One that failed ends with `undefined`. */
type Flight = Deferred.Deferred<{ readonly value: unknown } | undefined>

type Load = <A, E, R>(
  schema: ValueSchema<A>,
  keys: Keys,
  pending: ReadonlyArray<Pending>,
  loader: Loader<A, E, R>
) => Effect.Effect<Values<A>, E, R>

/**
 * Loads each name once, over all processes: those who ask for the same name and version later wait for the first. A load
 * goes on when its caller leaves.
 */
export const makeFlights = (entries: Entries): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    /** By the key of the flight in Redis. Equal flights load values of the same kind. */
    const flights = new Map<string, Flight>()

    const fly: Load = (schema, keys, pending, loader) => {
      const own = pending.map((load): [Pending, Flight] => [load, Deferred.makeUnsafe()])
      const takeOff = Effect.sync(() =>
        own.forEach(([load, flight]) => flights.set(keys.flight(load), flight))
      )
      return Effect.andThen(takeOff, loadOnce(entries, schema, keys, pending, loader)).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            for (const [load, flight] of own) {
              flights.delete(keys.flight(load))
              const value = Exit.isSuccess(exit) ? { value: exit.value.get(load.key.name) } : undefined
              Deferred.doneUnsafe(flight, Exit.succeed(value))
            }
          })
        ),
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.flatMap(Fiber.join)
      )
    }

    return Effect.fnUntraced(function* (schema, keys, pending, loader) {
      const others = pending.flatMap((load) => {
        const flight = flights.get(keys.flight(load))
        return flight === undefined ? [] : [{ load, flight }]
      })
      const own = pending.filter((load) => !flights.has(keys.flight(load)))
      const values = own.length === 0 ? new Map() : yield* fly(schema, keys, own, loader)
      const failed: Array<string> = []
      for (const { flight, load } of others) {
        const landed = yield* Deferred.await(flight)
        if (landed === undefined) failed.push(load.key.name)
        else values.set(load.key.name, landed.value)
      }
      // Only the caller that started a failed flight gets its error; the others load by themselves.
      if (failed.length > 0) for (const [name, value] of yield* loader(failed)) values.set(name, value)
      return values
    }) as Load
  })

/** Loads the names that no other process is loading, and waits a limited time for the others before it loads them too. */
const loadOnce = Effect.fnUntraced(function* <A, E, R>(
  entries: Entries,
  schema: ValueSchema<A>,
  keys: Keys,
  pending: ReadonlyArray<Pending>,
  loader: Loader<A, E, R>
) {
  const values: Values<A> = new Map()
  const loadAndLand = Effect.fnUntraced(function* (own: ReadonlyArray<Pending>) {
    if (own.length === 0) return
    const loaded = yield* loader(own.map(({ key }) => key.name)).pipe(
      Effect.onError(() => Effect.ignore(entries.endFlights(keys, own)))
    )
    const outcomes = own.map((load) => ({ load, value: loaded.get(load.key.name) }))
    for (const { load, value } of outcomes) values.set(load.key.name, value)
    yield* Effect.ignore(entries.land(schema, keys, outcomes))
  })
  const deadlineMs = (yield* Clock.currentTimeMillis) + FLIGHT_MS
  for (let waiting = pending; ; yield* Effect.sleep(POLL_MS)) {
    const isLate = (yield* Clock.currentTimeMillis) >= deadlineMs
    const flights = isLate
      ? []
      : yield* entries.takeFlights(schema, keys, waiting).pipe(Effect.orElseSucceed(() => []))
    const states = waiting.map((load, at) => ({ load, found: undefined, isTaken: true, ...flights[at] }))
    for (const { found, load } of states) if (found !== undefined) values.set(load.key.name, found.value)
    const landed = states.flatMap(({ found, isTaken, load }) =>
      isTaken && found !== undefined ? [load] : []
    )
    if (landed.length > 0) yield* Effect.ignore(entries.endFlights(keys, landed))
    const open = states.filter(({ found }) => found === undefined)
    yield* loadAndLand(open.flatMap(({ isTaken, load }) => (isTaken ? [load] : [])))
    waiting = open.flatMap(({ isTaken, load }) => (isTaken ? [] : [load]))
    if (waiting.length === 0) return values
  }
})
