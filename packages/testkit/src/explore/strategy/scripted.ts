import { situation, stay, type ChoicePoint, type Chooser, type Divergence } from "./strategy.ts"

/** What one schedule did: who went, and between whom the choice was. */
export interface Script {
  readonly actors: ReadonlyArray<number>
  /** The situation at each choice, where known. */
  readonly situations?: ReadonlyArray<string>
}

/**
 * Repeats a schedule. Who cannot go when it is their turn is passed over, and after the end whoever goes stays.
 *
 * @param onDivergence told of every choice point that is not as it was
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
