import { randomStream, type RandomStream } from "../internal/random.ts"
import type { Command } from "./dialogue.ts"
import type { CommandMatch } from "./rules.ts"

/** The way to the server or back from it. */
export type Direction = "request" | "reply"

/** What to delay, and how long. */
export interface LatencyOptions {
  /** A fixed delay in milliseconds, or one drawn uniformly from a range by the proxy's seed. */
  readonly ms: number | { readonly min: number; readonly max: number }
  /** Default "request". */
  readonly direction?: Direction | "both"
  /** Delays only matching commands and their replies. Default: everything. */
  readonly match?: CommandMatch
}

/** Ends a delay. */
export interface LatencyHandle {
  remove(): void
}

/** The active delays. Several add up. */
export class Latencies {
  readonly #seed: number | string
  readonly #active = new Set<LatencyOptions>()
  readonly #streams = new Map<string, RandomStream>()

  constructor(seed: number | string) {
    this.#seed = seed
  }

  add(options: LatencyOptions): LatencyHandle {
    this.#active.add(options)
    return { remove: () => void this.#active.delete(options) }
  }

  delayMs(direction: Direction, connection: number, command: Command | undefined): number {
    let delayMs = 0
    for (const latency of this.#active) {
      const applies = latency.direction === "both" || (latency.direction ?? "request") === direction
      if (applies && isAbout(latency.match, command)) delayMs += this.#drawMs(latency, direction, connection)
    }
    return delayMs
  }

  #drawMs({ ms }: LatencyOptions, direction: Direction, connection: number): number {
    if (typeof ms === "number") return ms
    const name = `latency of connection ${connection}, ${direction}`
    const stream = this.#streams.get(name) ?? randomStream(this.#seed, name)
    this.#streams.set(name, stream)
    return ms.min + stream() * (ms.max - ms.min)
  }
}

const isAbout = (match: CommandMatch | undefined, command: Command | undefined): boolean => {
  if (match === undefined) return true
  if (command === undefined) return false
  return typeof match === "function" ? match(command) : command.text.search(match) !== -1
}
