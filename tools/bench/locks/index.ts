/** `npm run bench -- locks`: Holdfast's locks and redis-semaphore 5.8, alternately, on a Redis of their own. */
import { startServices } from "@holdfast/testkit"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { type Contestant, holdfast, redisSemaphore } from "./contestants.ts"
import {
  commandsPerSection,
  summary,
  takeTurns,
  type Tally,
  throughput,
  type TurnOptions
} from "./measure.ts"
import { invertedPairsPercent, jain, percentile } from "../statistics.ts"
import type { Reporting } from "../../src/progress.ts"

export interface LockBenchOptions {
  /** Turns of each contestant in each measurement. */
  readonly turns: number
  /** The length of a turn. */
  readonly turnMs: number
  /** Callers that loop over one key. */
  readonly waiters: number
}

/**
 * `contended`: all waiters loop over one key, with sections of 2 ms. `uncontended`: one caller does.
 * `details.emptySections`: one caller with sections of no length, which shows the cost of the lock itself.
 * A ratio is Holdfast's figure divided by redis-semaphore's.
 */
export interface LockBenchResult {
  readonly contended: {
    readonly throughputRatio: number
    readonly p99Ratio: number
    readonly commandsPerSection: number
    readonly jain: number
    readonly maxOvertakes: number
    readonly waiters: number
  }
  readonly uncontended: { readonly throughputRatio: number; readonly commandsPerSection: number }
  readonly burst: { readonly invertedPairsPercent: number }
  readonly subscribers: number
  /** The measurements of each contestant. */
  readonly details: {
    readonly [measurement: string]: {
      readonly [contestant: string]: { readonly [figure: string]: number }
    }
  }
}

const SECTION_MS = 2
const BURST = 50
const BURSTS = 20

export const run = async (options: LockBenchOptions & Reporting): Promise<LockBenchResult> => {
  await using services = await startServices({ sql: false, onProgress: options.onProgress })
  const [ours, theirs, observer] = Array.from({ length: 3 }, () => new Redis(services.redis.url())) as [
    Redis,
    Redis,
    Redis
  ]
  try {
    return await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const contestants = [yield* holdfast(ours), redisSemaphore(theirs)] as const
          return yield* Effect.promise(() => measureAll(contestants, observer, options))
        })
      )
    )
  } finally {
    for (const client of [ours, theirs, observer]) client.disconnect()
  }
}

type Contestants = readonly [ours: Contestant, theirs: Contestant]

const measureAll = async (
  contestants: Contestants,
  observer: Redis,
  settings: LockBenchOptions & Reporting
): Promise<LockBenchResult> => {
  const inTurns = (options: Partial<TurnOptions>) =>
    takeTurns(contestants, observer, { ...settings, sectionMs: SECTION_MS, ...options }) as Promise<Tallies>
  await inTurns({ turns: 1, turnMs: 300 }) // warm up
  const contended = await inTurns({})
  const subscribers = await countSubscribers(observer)
  settings.onProgress(`contended: ${JSON.stringify(contended.map(summary))}`)
  // Many short turns resolve a lone caller's microseconds better than a few long ones.
  const alone = { waiters: 1, turns: settings.turns * 10, turnMs: settings.turnMs / 20 }
  const uncontended = await inTurns(alone)
  settings.onProgress(`uncontended: ${JSON.stringify(uncontended.map(summary))}`)
  const empty = await inTurns({ ...alone, sectionMs: 0 })
  settings.onProgress(`empty sections: ${JSON.stringify(empty.map(summary))}`)
  const ourBurst = await burst(contestants[0])
  return {
    contended: {
      throughputRatio: ratio(contended, throughput),
      p99Ratio: ratio(contended, ({ waitsMs }) => percentile(waitsMs, 0.99)),
      commandsPerSection: commandsPerSection(contended[0]),
      jain: jain(contended[0].byWaiter),
      maxOvertakes: contended[0].maxOvertakes,
      waiters: settings.waiters
    },
    uncontended: {
      throughputRatio: ratio(uncontended, throughput),
      commandsPerSection: commandsPerSection(uncontended[0])
    },
    burst: { invertedPairsPercent: ourBurst },
    subscribers,
    details: {
      contended: named(contestants, contended),
      uncontended: named(contestants, uncontended),
      emptySections: named(contestants, empty),
      burst: {
        [contestants[0].name]: { invertedPairsPercent: ourBurst },
        [contestants[1].name]: { invertedPairsPercent: await burst(contestants[1]) }
      }
    }
  }
}

type Tallies = readonly [ours: Tally, theirs: Tally]

/** All callers ask once, at the same time. The result is the worst disorder of entries of all bursts. */
const burst = async (contestant: Contestant): Promise<number> => {
  const percents: Array<number> = []
  for (let round = 0; round < BURSTS; round += 1) {
    const entered: Array<number> = []
    await Promise.all(
      Array.from({ length: BURST }, (_, caller) => {
        let rounds = 0
        return contestant.loop(`burst-${round}`, {
          sectionMs: 1,
          goesOn: () => (rounds += 1) === 1,
          asked: () => {},
          entered: () => void entered.push(caller)
        })
      })
    )
    percents.push(invertedPairsPercent(entered))
  }
  return Math.max(...percents)
}

const countSubscribers = async (observer: Redis): Promise<number> =>
  String(await observer.client("LIST", "TYPE", "PUBSUB"))
    .split("\n")
    .filter((line) => line.trim() !== "").length

const ratio = ([ours, theirs]: Tallies, figure: (tally: Tally) => number): number =>
  figure(ours) / figure(theirs)

const named = ([ours, theirs]: Contestants, [ourTally, theirTally]: Tallies) => ({
  [ours.name]: summary(ourTally),
  [theirs.name]: summary(theirTally)
})
