import { encodePct, encodeRandomWalk } from "../schedule-code.ts"
import { depthFirst } from "./depth-first.ts"
import { pct, randomWalk } from "./seeded.ts"
import type { Strategy } from "./strategy.ts"

/**
 * How schedules are chosen. `dfs`: all, depth first. `pct`: probabilistic concurrency testing. `random`: uniformly at
 * each step. `auto`: `dfs` for the first half of the schedules, then `pct` unless `dfs` has exhausted them.
 */
export type StrategyName = "auto" | "dfs" | "pct" | "random"

export interface ProposalOptions {
  readonly strategy: StrategyName
  readonly schedules: number
  readonly seed: number
  readonly pctDepth: number
  /** The number of clients and actors. */
  readonly actors: number
  /** The estimated length of a schedule; longer ones correct it. */
  readonly steps: number
}

/** The strategy with that name. Every schedule of a seeded strategy has its own seed. */
export const proposals = (options: ProposalOptions): Strategy => {
  const { strategy, schedules } = options
  if (strategy === "dfs") return depthFirst()
  if (strategy === "pct") return seeded(options, pctProposal)
  if (strategy === "random") return seeded(options, randomProposal)
  const exhaustive = depthFirst()
  const beyond = seeded(options, pctProposal)
  let proposed = 0
  return {
    next: () => (proposed++ < schedules / 2 ? exhaustive.next() : beyond.next()),
    divergences: exhaustive.divergences
  }
}

type SeededProposal = (
  options: ProposalOptions,
  seed: number
) => Pick<NonNullable<ReturnType<Strategy["next"]>>, "code" | "choose">

const seeded = (options: ProposalOptions, propose: SeededProposal): Strategy => {
  let { seed, steps } = options
  return {
    next: () => ({
      ...propose({ ...options, steps }, seed++),
      finished: (happened) => {
        steps = Math.max(steps, happened)
      }
    }),
    divergences: () => []
  }
}

const pctProposal: SeededProposal = ({ pctDepth: depth, steps, actors }, seed) => ({
  code: encodePct(depth, steps, seed),
  choose: pct({ seed, depth, steps, actors })
})

const randomProposal: SeededProposal = (_options, seed) => ({
  code: encodeRandomWalk(seed),
  choose: randomWalk(seed)
})
