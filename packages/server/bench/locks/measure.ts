import type { Redis } from "ioredis"
import type { Contestant } from "./contestants.ts"

/** What one contestant did, over all of its turns. */
export interface Tally {
  sections: number
  elapsedMs: number
  commands: number
  readonly waitsMs: Array<number>
  /** Sections by looping waiter. */
  readonly byWaiter: Array<number>
  /** The most sections that others entered while one waited. */
  maxOvertakes: number
}

export const emptyTally = (waiters: number): Tally => ({
  sections: 0,
  elapsedMs: 0,
  commands: 0,
  waitsMs: [],
  byWaiter: Array.from({ length: waiters }, () => 0),
  maxOvertakes: 0
})

/** One turn: so many waiters loop over one key for so long. */
export const takeTurn = async (
  contestant: Contestant,
  redis: Redis,
  tally: Tally,
  options: {
    readonly waiters: number
    readonly sectionMs: number
    readonly durationMs: number
    readonly key: string
  }
): Promise<void> => {
  const commandsBefore = await commandsSent(redis, contestant)
  const startedAtMs = performance.now()
  const endsAtMs = startedAtMs + options.durationMs
  let entries = 0
  const loops = Array.from({ length: options.waiters }, (_, waiter) => {
    let askedAtMs = 0
    let entriesBefore = 0
    return contestant.loop(options.key, {
      sectionMs: options.sectionMs,
      goesOn: () => performance.now() < endsAtMs,
      asked: () => {
        askedAtMs = performance.now()
        entriesBefore = entries
      },
      entered: () => {
        tally.waitsMs.push(performance.now() - askedAtMs)
        tally.byWaiter[waiter] = (tally.byWaiter[waiter] ?? 0) + 1
        tally.maxOvertakes = Math.max(tally.maxOvertakes, entries - entriesBefore)
        entries += 1
      }
    })
  })
  await Promise.all(loops)
  tally.elapsedMs += performance.now() - startedAtMs
  tally.sections += entries
  tally.commands += (await commandsSent(redis, contestant)) - commandsBefore
}

/**
 * How many commands the contestant has sent so far, as the server counts them. What a script calls inside is counted
 * under its own name, so only the names that the contestant itself sends are summed up: a script is one command.
 */
const commandsSent = async (redis: Redis, { sends }: Contestant): Promise<number> => {
  const statistics = await redis.info("commandstats")
  const calls = (name: string) =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0)
  return sends.reduce((sum, name) => sum + calls(name), 0)
}
