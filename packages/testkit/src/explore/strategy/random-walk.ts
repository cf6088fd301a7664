import { seededRandom } from "../random.ts"
import type { Chooser } from "./strategy.ts"

/** Every candidate is as likely as every other, at every step. */
export const randomWalk = (seed: number): Chooser => {
  const random = seededRandom(seed)
  return ({ candidates }) => random.pick(candidates).actor
}
