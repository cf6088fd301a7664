import { Context, Effect } from "effect"

/**
 * The failpoints by name. A module declares its own beside its code:
 * `declare module "../../platform/failpoints.ts" { interface Failpoints { "order: rows inserted": true } }`.
 *
 * @public because modules merge into it
 */
export interface Failpoints {
  "answer stored": true
  "relay: events published": true
}

/** A named step of a use case. Every command also passes `PATH: committed`, `orders.create: committed` for instance. */
export type Failpoint = keyof Failpoints | `${string}: committed`

/** Receives the name of each failpoint that a use case reaches. Tests end the process there, as a power cut would. */
export const FailpointListener = Context.Reference<(failpoint: Failpoint) => void>(
  "@holdfast/server/FailpointListener",
  { defaultValue: () => () => {} }
)

/** Marks that a use case has reached this step. */
export const failpoint = (name: Failpoint): Effect.Effect<void> =>
  Effect.map(FailpointListener, (listener) => listener(name))
