import { Effect } from "effect"

/**
 * Runs the effect once for all who ask while it runs; everybody gets the one outcome. It runs for itself, so a caller
 * who is interrupted leaves without taking it away from the others.
 */
export const singleFlight = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let running: ReturnType<typeof Effect.runPromiseExit<A, E>> | undefined
  const start = () =>
    (running ??= Effect.runPromiseExit(effect).finally(() => {
      running = undefined
    }))
  return Effect.flatten(Effect.promise(start))
}
