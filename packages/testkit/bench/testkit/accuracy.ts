// How accurately the load generator starts its calls.
import { setImmediate } from "node:timers/promises"
import { load } from "../../src/load/index.ts"

const RATE = 1_000
const DURATION_MS = 5_000

/** Measures calls that cost nothing, so that their delay is the generator's. */
export async function loadAccuracy() {
  const { calls, completedPerSecond, startDelay } = await load({
    rate: RATE,
    durationMs: DURATION_MS,
    fn: () => setImmediate()
  })
  return { ratePerSecond: RATE, calls: calls.succeeded, completedPerSecond, startDelayMs: startDelay }
}
