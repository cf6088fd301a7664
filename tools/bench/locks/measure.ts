import type { Redis } from "ioredis"
import type { Contestant } from "./contestants.ts"
import { jain, percentile } from "../statistics.ts"

/** The counts of one contestant over all of its turns. */
export interface Tally {
  sections: number
  commands: number
  /** Sections a second in each turn. */
  readonly rates: Array<number>
  readonly waitsMs: Array<number>
  /** Sections of each waiter. */
  readonly byWaiter: Array<number>
  /** The largest number of sections that others entered while one waiter waited. */
  maxOvertakes: number
}

const emptyTally = (waiters: number): Tally => ({
  sections: 0,
  commands: 0,
  rates: [],
  waitsMs: [],
  byWaiter: Array.from({ length: waiters }, () => 0),
  maxOvertakes: 0
})

export interface TurnOptions {
  readonly turns: number
  readonly turnMs: number
  readonly waiters: number
  readonly sectionMs: number
}

/** Measures the contestants alternately, so that other load on the machine affects all of them alike. */
export const takeTurns = async (
  contestants: ReadonlyArray<Contestant>,
  redis: Redis,
  { sectionMs, turnMs, turns, waiters }: TurnOptions
): Promise<ReadonlyArray<Tally>> => {
  const tallies = contestants.map((contestant) => ({ contestant, tally: emptyTally(waiters) }))
  for (let turn = 0; turn < turns; turn += 1) {
    const options = { waiters, sectionMs, durationMs: turnMs, key: `turn-${turn}` }
    for (const { contestant, tally } of tallies) await takeTurn(contestant, redis, tally, options)
  }
  return tallies.map(({ tally }) => tally)
}

/** One turn: all waiters loop over one key. */
const takeTurn = async (
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
  tally.rates.push((entries / (performance.now() - startedAtMs)) * 1_000)
  tally.sections += entries
  tally.commands += (await commandsSent(redis, contestant)) - commandsBefore
}

/**
 * The commands that the contestant has sent so far, as the server counts them. Redis counts the commands inside a
 * script by their own names, so a script counts as one command here.
 */
const commandsSent = async (redis: Redis, { sends }: Contestant): Promise<number> => {
  const statistics = await redis.info("commandstats")
  const calls = (name: string) =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0)
  return sends.reduce((sum, name) => sum + calls(name), 0)
}

/** The median of the turns, so that one turn on a busy machine does not count. */
export const throughput = ({ rates }: Tally): number => percentile(rates, 0.5)
export const commandsPerSection = ({ commands, sections }: Tally): number => commands / sections

/** The figures of one contestant. */
export const summary = (tally: Tally) => ({
  sectionsPerSecond: throughput(tally),
  commandsPerSection: commandsPerSection(tally),
  waitP50Ms: percentile(tally.waitsMs, 0.5),
  waitP99Ms: percentile(tally.waitsMs, 0.99),
  jain: jain(tally.byWaiter),
  maxOvertakes: tally.maxOvertakes
})
