import { seededRandom } from "../random.ts"
import type { Chooser } from "./strategy.ts"

export interface PctOptions {
  readonly seed: number
  /** How many ordering constraints a bug may need; two find most. */
  readonly depth: number
  /** How many steps a schedule has, about. */
  readonly steps: number
  readonly actors: number
}

/**
 * Probabilistic concurrency testing: whoever has the highest of random priorities goes on; at `depth - 1` random
 * steps the one who is going drops below all others. A bug of that depth is hit with a probability of at least
 * 1 / (actors * steps^(depth-1)) per schedule.
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
