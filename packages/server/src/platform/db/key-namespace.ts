import type { ServiceUnavailable } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { Database, db } from "./database.ts"
import { tx } from "./transaction.ts"

/**
 * The name of this database in Redis, part of every key: two databases can share one Redis, and a new database never
 * finds the keys of an old one. What must not outlive the books that it was made from has the epoch in its name as well.
 */
export class KeyNamespace extends Context.Service<
  KeyNamespace,
  {
    /** The prefix of all keys: `holdfast:{name}:`. The braces put them into one slot of a cluster. */
    readonly prefix: Effect.Effect<string, ServiceUnavailable>
    /** The part of a name that a new epoch changes: `<epoch>:`, and nothing in a database that was never restored. */
    readonly epoch: Effect.Effect<string, ServiceUnavailable>
    /** Notes an epoch that the database has named. Epochs only rise, so an older one says nothing. */
    readonly learn: (epoch: number) => void
  }
>()("@holdfast/server/KeyNamespace") {
  static readonly layer: Layer.Layer<KeyNamespace, never, Database> = Layer.effect(
    KeyNamespace,
    Effect.map(Database, (database) => {
      let known: { readonly prefix: string; readonly epoch: number } | undefined
      let learnt = 0
      const ask = readName.pipe(
        Effect.provideService(Database, database),
        Effect.map(({ epoch, name }) => (known = { prefix: `holdfast:{${name}}:`, epoch }))
      )
      const name = Effect.suspend(() => (known === undefined ? ask : Effect.succeed(known)))
      return {
        prefix: Effect.map(name, ({ prefix }) => prefix),
        epoch: Effect.map(name, ({ epoch }) => partOf(Math.max(epoch, learnt))),
        learn: (epoch) => void (learnt = Math.max(learnt, epoch))
      }
    })
  )
}

const partOf = (epoch: number): string => (epoch === 0 ? "" : `${epoch}:`)

/** The random half of the id: the first half is the time at which the database was created. */
const readName = db
  .rows((q) => q.selectFrom("installation").select(["id", "epoch"]))
  .pipe(Effect.map(([row]) => ({ name: row!.id.subarray(8).toString("hex"), epoch: row!.epoch })))

/**
 * Learns the epoch in the open transaction. What the transaction has read before was committed before a later epoch began,
 * so whoever builds anew in that epoch reads it, too.
 */
export const learnEpoch = Effect.gen(function* () {
  const { learn } = yield* KeyNamespace
  const row = yield* tx.first((q) => q.selectFrom("installation").select("epoch"))
  learn(row!.epoch)
})
