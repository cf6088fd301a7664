/** An actor that could make the next step, with the step it would make. */
export interface Candidate {
  /** Number of the client, or of an actor behind the clients. */
  readonly actor: number
  readonly label: string
}

/** A moment at which everybody stands still and one may go on. */
export interface ChoicePoint {
  /** How many steps were made. */
  readonly depth: number
  /** At least one, by number. */
  readonly candidates: ReadonlyArray<Candidate>
  /** Who made the step before. */
  readonly latest: number | undefined
}

/** Chooses one candidate's number at every choice point of one schedule. */
export type Chooser = (point: ChoicePoint) => number

/** Proposes schedules one after the other. */
export interface Strategy {
  /** The next schedule to run, or undefined when every schedule there is was proposed. */
  readonly next: () => Proposal | undefined
  /** Choice points at which a repeated prefix offered other candidates than before. */
  readonly divergences: () => ReadonlyArray<Divergence>
}

export interface Proposal {
  /** Repeats the schedule in another process; absent when only its steps do. */
  readonly code?: string
  readonly choose: Chooser
  /** Told when the schedule was run to its end. */
  readonly finished: (steps: number) => void
}

/** The same choices led to another situation: something the schedule does not control. */
export interface Divergence {
  readonly depth: number
  readonly expected: string
  readonly actual: string
}

/** A choice point as text; equal texts mean equal situations. */
export const situation = ({ candidates }: ChoicePoint): string =>
  candidates.map(({ actor, label }) => `${actor}: ${label}`).join(" | ")

/** Who goes on when nothing else was said: whoever went last, else the first. */
export const stay = ({ candidates, latest }: ChoicePoint): number => {
  const first = candidates[0]
  if (first === undefined) throw new RangeError("Nobody can make a step.")
  return candidates.some(({ actor }) => actor === latest) && latest !== undefined ? latest : first.actor
}
