import { setTimeout } from "node:timers/promises"

const DAY_MS = 86_400_000

/**
 * Makes sure that the day (UTC) does not end within the next `neededMs`: shortly before midnight it waits for the next
 * one. For tests about "so many a day", whose day would otherwise change in their middle, once in a thousand runs.
 */
export const daylight = async (neededMs: number): Promise<void> => {
  const leftMs = DAY_MS - (Date.now() % DAY_MS)
  if (leftMs < neededMs) await setTimeout(leftMs + 100)
}
