import { median, percentile } from "../statistics.ts"
import { rounded } from "../shop/load.ts"
import type { Outcome } from "./outcome.ts"

/** A strategy with the product that it sells. */
export interface Contestant {
  readonly restock: (units: number) => Promise<void>
  readonly take: () => Promise<Outcome>
  readonly books: () => Promise<{ readonly left: number; readonly sales: number }>
  /** What else is wrong with its books. */
  readonly faults?: () => Promise<ReadonlyArray<string>>
  readonly close: () => Promise<void>
}

/** What one strategy did. */
export interface StrategyFigures {
  /** Units sold a second, while there are enough. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Calls that the strategy gave up on, in all rounds. */
  readonly refused: number
  /** Callers who were told that they have a unit, each time that too few units were there for all. */
  readonly winners: ReadonlyArray<number>
  /** Units that callers were told they have, and that the stock does not lack. */
  readonly lostUpdates: number
  /** Whether every book is right and exactly as many won as there were units. */
  readonly isExact: boolean
}

/** What one strategy did in one round. */
interface Round {
  readonly perSecond: number
  readonly latenciesMs: ReadonlyArray<number>
  readonly refused: number
  readonly winners: number
  readonly lostUpdates: number
}

const ENOUGH = 10_000_000
/** Fewer than there are callers, so that some must go away without. */
export const SCARCE = 32

/** Sells for some time from a stock that lasts, then once to all callers from one that does not. */
export const takeRound = async (contestant: Contestant, callers: number, seconds: number): Promise<Round> => {
  await contestant.restock(ENOUGH)
  const latenciesMs: Array<number> = []
  let refused = 0
  const startedAtMs = performance.now()
  const caller = async () => {
    while (performance.now() - startedAtMs < seconds * 1_000) {
      const askedAtMs = performance.now()
      if ((await contestant.take()) === "sold") latenciesMs.push(performance.now() - askedAtMs)
      else refused += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const elapsedMs = performance.now() - startedAtMs
  const lasting = await lostUpdatesOf(contestant, ENOUGH, latenciesMs.length)
  await contestant.restock(SCARCE)
  const outcomes = await Promise.all(Array.from({ length: callers }, () => contestant.take()))
  const winners = outcomes.filter((outcome) => outcome === "sold").length
  return {
    perSecond: (latenciesMs.length / elapsedMs) * 1_000,
    latenciesMs,
    refused: refused + outcomes.filter((outcome) => outcome === "refused").length,
    winners,
    lostUpdates: lasting + (await lostUpdatesOf(contestant, SCARCE, winners))
  }
}

/** Throws when a sale that was answered has no row: then the measurement is wrong, not the strategy. */
const lostUpdatesOf = async (contestant: Contestant, units: number, sold: number): Promise<number> => {
  const { left, sales } = await contestant.books()
  if (sales !== sold) throw new Error(`${sold} sales were answered, but ${sales} are in the database`)
  return Math.abs(sold - (units - left))
}

/** Medians of the rates and percentiles of the rounds; everything else of all rounds. */
export const figuresOf = (rounds: ReadonlyArray<Round>, faults: ReadonlyArray<string>): StrategyFigures => {
  const middle = (of: (round: Round) => number) => rounded(median(rounds.map(of)))
  const sum = (of: (round: Round) => number) => rounds.reduce((total, round) => total + of(round), 0)
  const winners = rounds.map((round) => round.winners)
  const lostUpdates = sum((round) => round.lostUpdates)
  return {
    perSecond: Math.round(middle(({ perSecond }) => perSecond)),
    p50Ms: middle(({ latenciesMs }) => percentile(latenciesMs, 0.5)),
    p99Ms: middle(({ latenciesMs }) => percentile(latenciesMs, 0.99)),
    refused: sum((round) => round.refused),
    winners,
    lostUpdates,
    isExact: lostUpdates === 0 && faults.length === 0 && winners.every((count) => count === SCARCE)
  }
}
