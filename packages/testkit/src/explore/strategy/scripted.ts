import { situation, stay, type ChoicePoint, type Chooser, type Divergence } from "./strategy.ts"

/** A schedule to repeat. */
interface Script {
  /** The client or actor of each step. */
  readonly actors: ReadonlyArray<number>
  /** The situation at each choice, where known. */
  readonly situations?: ReadonlyArray<string>
}

/**
 * Repeats a schedule. A planned client that is not a candidate is skipped; after the end, the latest client continues.
 *
 * @param onDivergence called for every choice point whose situation differs
 */
export const scripted = (
  script: Script,
  onDivergence: (divergence: Divergence) => void = () => {}
): Chooser => {
  let position = 0
  return (point: ChoicePoint): number => {
    const expected = script.situations?.[point.depth]
    const actual = situation(point)
    if (expected !== undefined && expected !== actual) onDivergence({ depth: point.depth, expected, actual })
    while (position < script.actors.length) {
      const planned = script.actors[position++]
      if (planned !== undefined && point.candidates.some(({ actor }) => actor === planned)) return planned
    }
    return stay(point)
  }
}
