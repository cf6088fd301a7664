import { setTimeout } from "node:timers/promises"

const DAY_MS = 86_400_000

/**
 * Waits for the next day (UTC) when the current one ends within `neededMs`, so that tests of daily limits do not run
 * across midnight.
 */
export const daylight = async (neededMs: number): Promise<void> => {
  const leftMs = DAY_MS - (Date.now() % DAY_MS)
  if (leftMs < neededMs) await setTimeout(leftMs + 100)
}
