import { seededRandom } from "../../internal/random.ts"
import type { Chooser } from "./strategy.ts"

interface PctOptions {
  readonly seed: number
  /** The number of ordering constraints that a bug may need; two find most. */
  readonly depth: number
  /** The estimated number of steps of a schedule. */
  readonly steps: number
  readonly actors: number
}

/**
 * Probabilistic concurrency testing: the candidate with the highest of random priorities makes the next step, and at
 * `depth - 1` random steps it drops below all others. Each schedule hits a bug of that depth with a probability of at
 * least 1 / (actors * steps^(depth-1)).
 *
 * Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding
 * bugs" (ASPLOS 2010).
 */
export const pct = ({ seed, depth, steps, actors }: PctOptions): Chooser => {
  const random = seededRandom(seed)
  const order = random.shuffle(Array.from({ length: actors }, (_, actor) => actor))
  const priorities = new Map(order.map((actor, rank) => [actor, depth + rank]))
  const changePoints = Array.from({ length: depth - 1 }, () => random.below(Math.max(1, steps)))
  return ({ depth: step, candidates }) => {
    // A client's further connections are known only when they have a step.
    for (const { actor } of candidates)
      if (!priorities.has(actor)) priorities.set(actor, depth + random.next() * actors)
    const highest = () =>
      candidates.reduce((best, { actor }) => {
        return (priorities.get(actor) ?? 0) > (priorities.get(best) ?? 0) ? actor : best
      }, candidates[0]?.actor ?? 0)
    changePoints.forEach((changePoint, index) => {
      if (changePoint === step) priorities.set(highest(), index)
    })
    return highest()
  }
}

/** Chooses each candidate with the same probability, at every step. */
export const randomWalk = (seed: number): Chooser => {
  const random = seededRandom(seed)
  return ({ candidates }) => random.pick(candidates).actor
}
