import { spawn } from "node:child_process"
import { once } from "node:events"
import type { Stream } from "node:stream"

/**
 * Gives the other end of a lifeline to a process that sleeps: the server lives until that process ends too.
 * Resolves with its pid.
 */
export async function hold(lifeline: Stream, seconds: number): Promise<number> {
  const sleeper = spawn("sleep", [String(Math.ceil(seconds))], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", lifeline]
  })
  await once(sleeper, "spawn")
  sleeper.unref()
  return sleeper.pid ?? 0
}
