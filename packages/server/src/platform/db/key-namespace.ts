import type { ServiceUnavailable } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { Database, db } from "./database.ts"

/**
 * The name of this database in Redis, part of every key: two databases can share one Redis, and a new database never
 * finds the keys of an old one.
 */
export class KeyNamespace extends Context.Service<
  KeyNamespace,
  {
    /** The prefix of all keys: `holdfast:{name}:`. The braces put them into one slot of a cluster. */
    readonly prefix: Effect.Effect<string, ServiceUnavailable>
  }
>()("@holdfast/server/KeyNamespace") {
  static readonly layer: Layer.Layer<KeyNamespace, never, Database> = Layer.effect(
    KeyNamespace,
    Effect.map(Database, (database) => {
      let known: string | undefined
      const ask = readName.pipe(
        Effect.provideService(Database, database),
        Effect.map((name) => (known = `holdfast:{${name}}:`))
      )
      return { prefix: Effect.suspend(() => (known === undefined ? ask : Effect.succeed(known))) }
    })
  )
}

/** The random half of the id: the first half is the time at which the database was created. */
const readName = db
  .rows((q) => q.selectFrom("installation").select("id"))
  .pipe(Effect.map(([row]) => row!.id.subarray(8).toString("hex")))
