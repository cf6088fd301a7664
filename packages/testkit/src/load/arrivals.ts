import { randomStream } from "../faults/random.ts"

/** "constant": evenly spaced. "poisson": independent callers, so exponentially distributed gaps. */
export type ArrivalKind = "constant" | "poisson"

/** When calls are meant to start, in milliseconds from the beginning of the run, in order. */
export function* arrivals(
  kind: ArrivalKind,
  ratePerSecond: number,
  durationMs: number,
  seed: number | string
): Generator<number, void> {
  const gapMs = 1_000 / ratePerSecond
  if (kind === "constant") {
    // A product instead of a sum, so that no rounding error adds up. Half a gap of tolerance keeps the count exact.
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
