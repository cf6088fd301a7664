import { Context, Effect } from "effect"

/**
 * Told of each named step that a use case has passed. Nobody listens in production; the tests end the process there,
 * as a power cut would.
 */
export const FailpointListener = Context.Reference<(step: string) => void>(
  "@holdfast/server/FailpointListener",
  {
    defaultValue: () => () => {}
  }
)

/** Marks a step of a use case, `order: stock reserved` for instance. */
export const failpoint = (step: string): Effect.Effect<void> =>
  Effect.map(FailpointListener, (observe) => observe(step))
