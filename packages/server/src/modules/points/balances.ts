import type { ServiceUnavailable, UserId } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { makeBatchedRead } from "../../platform/db/batched-read.ts"
import type { Database } from "../../platform/db/database.ts"
import { findBalances } from "./repository.ts"

/** Reads balances as they are when it is asked: a row by its key, in one statement with those of other callers. */
export class Balances extends Context.Service<
  Balances,
  { readonly of: (userId: UserId) => Effect.Effect<number | undefined, ServiceUnavailable> }
>()("@holdfast/server/Balances") {
  static readonly layer: Layer.Layer<Balances, never, Database> = Layer.effect(
    Balances,
    Effect.map(makeBatchedRead(findBalances), ({ awaited }) => ({ of: awaited }))
  )
}
