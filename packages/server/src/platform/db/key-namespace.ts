import type { ServiceUnavailable } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { Database, read } from "./database.ts"

/**
 * The name of this database in Redis: part of every key, so that two databases may share one Redis, and that a new
 * database never finds what an old one left there.
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

/** The random half of the id: its first half is the time at which the database was made. */
const readName = read((db, options) =>
  db.selectFrom("installation").select("id").executeTakeFirstOrThrow(options)
).pipe(Effect.map(({ id }) => id.subarray(8).toString("hex")))
