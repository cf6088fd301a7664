import { randomStream } from "../internal/random.ts"

/** "constant": evenly spaced calls. "poisson": independent callers, with exponentially distributed gaps. */
export type ArrivalKind = "constant" | "poisson"

/** The intended starts of all calls, in order, in milliseconds from the beginning of the run. */
export function* arrivals(
  kind: ArrivalKind,
  ratePerSecond: number,
  durationMs: number,
  seed: number | string
): Generator<number, void> {
  const gapMs = 1_000 / ratePerSecond
  if (kind === "constant") {
    // A product instead of a sum, so that rounding errors do not add up.
    const calls = Math.round(durationMs / gapMs)
    for (let call = 0; call < calls; call += 1) yield call * gapMs
    return
  }
  const random = randomStream(seed, "arrivals")
  for (let atMs = 0; ;) {
    atMs -= Math.log(1 - random()) * gapMs
    if (atMs >= durationMs) return
    yield atMs
  }
}
