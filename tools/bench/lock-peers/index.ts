/** `npm run bench -- lock-peers`: Holdfast's locks and those of other libraries, alternately, on a Redis of their own. */
import { startServices } from "@holdfast/testkit"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { type Contestant, holdfast, redisSemaphore } from "../locks/contestants.ts"
import { summary, takeTurns, type TurnOptions } from "../locks/measure.ts"
import { redlock, verrou } from "./contestants.ts"
import type { Reporting } from "../../src/progress.ts"

export interface LockPeersOptions {
  /** Turns of each contestant in each measurement. */
  readonly turns: number
  /** The length of a turn, which ends when the last waiter has had its section. */
  readonly turnMs: number
  /** Callers that loop over the contended key. */
  readonly waiters: number
}

type Figures = ReturnType<typeof summary>

/** The figures of each contestant, and Holdfast's throughput and 99th percentile divided by the contestant's. */
export interface LockPeersResult {
  readonly [measurement: string]: {
    readonly [contestant: string]: Figures & { readonly throughputRatio: number; readonly p99Ratio: number }
  }
}

const SECTION_MS = 2

export const run = async (options: LockPeersOptions & Reporting): Promise<LockPeersResult> => {
  const { onProgress, turnMs, turns, waiters } = options
  await using services = await startServices({ sql: false, onProgress })
  const clients: Array<Redis> = []
  const connected = (): Redis => {
    const client = new Redis(services.redis.url())
    clients.push(client)
    return client
  }
  const measure = (ours: Contestant) => {
    const contestants = [ours, ...[redisSemaphore, redlock, verrou].map((peer) => peer(connected()))]
    const observer = connected()
    const inTurns = async (turnOptions: TurnOptions) =>
      compared(contestants, (await takeTurns(contestants, observer, turnOptions)).map(summary))
    // Many short turns resolve a lone caller's microseconds better than a few long ones.
    const alone = { waiters: 1, turns: turns * 8, turnMs: turnMs / 16 }
    return {
      warmUp: () => inTurns({ turns: 1, turnMs: 300, waiters, sectionMs: SECTION_MS }),
      contended: () => inTurns({ turns, turnMs, waiters, sectionMs: SECTION_MS }),
      uncontended: () => inTurns({ ...alone, sectionMs: SECTION_MS }),
      emptySections: () => inTurns({ ...alone, sectionMs: 0 })
    }
  }
  try {
    return await Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(holdfast(connected()), (ours) =>
          Effect.promise(async () => {
            const { contended, emptySections, uncontended, warmUp } = measure(ours)
            await warmUp()
            return {
              contended: await contended(),
              uncontended: await uncontended(),
              emptySections: await emptySections()
            }
          })
        )
      )
    )
  } finally {
    for (const client of clients) client.disconnect()
  }
}

const compared = (contestants: ReadonlyArray<Contestant>, figures: ReadonlyArray<Figures>) =>
  Object.fromEntries(
    contestants.map(({ name }, index) => {
      const [ours, its] = [figures[0]!, figures[index]!]
      const throughputRatio = ours.sectionsPerSecond / its.sectionsPerSecond
      return [name, { ...its, throughputRatio, p99Ratio: ours.waitP99Ms / its.waitP99Ms }]
    })
  )
