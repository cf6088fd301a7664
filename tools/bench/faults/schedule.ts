import { randomStream } from "@holdfast/testkit/faults"

/** One fault of a run. */
export interface PlannedFault<Name extends string> {
  readonly fault: Name
  /** How long the system runs undisturbed before it. */
  readonly calmMs: number
  /** How long it lasts. */
  readonly faultMs: number
}

const CALM_MS = { from: 1_000, to: 4_000 }
const FAULT_MS = { from: 2_000, to: 12_000 }

/**
 * An endless sequence of faults, the same for the same seed and names. Every fault comes once, in random order, before
 * any comes again.
 */
export function* schedule<Name extends string>(
  seed: number,
  names: ReadonlyArray<Name>
): Generator<PlannedFault<Name>, never> {
  const random = randomStream(seed, "faults")
  const between = ({ from, to }: typeof CALM_MS) => from + Math.floor(random() * (to - from))
  for (;;) {
    const deck = [...names]
    while (deck.length > 0) {
      const [fault] = deck.splice(Math.floor(random() * deck.length), 1)
      if (fault !== undefined) yield { fault, calmMs: between(CALM_MS), faultMs: between(FAULT_MS) }
    }
  }
}
