import { actorOf } from "../choice.ts"

/** A client or actor that could make the next step, and the label of that step. */
export interface Candidate {
  /**
   * The number of the client; actors are numbered after the clients. A client's second connection with a step counts
   * `MAX_ACTORS` more, its third twice that.
   */
  readonly actor: number
  readonly label: string
}

/** A moment at which no client moves and one may make a step. */
export interface ChoicePoint {
  /** The number of steps so far. */
  readonly depth: number
  /** At least one, by number. */
  readonly candidates: ReadonlyArray<Candidate>
  /** The client or actor of the previous step. */
  readonly latest: number | undefined
}

/** Chooses a candidate's number at every choice point of one schedule. */
export type Chooser = (point: ChoicePoint) => number

/** Proposes schedules one after the other. */
export interface Strategy {
  /** The next schedule to run, or undefined when all were proposed. */
  readonly next: () => Proposal | undefined
  /** Choice points at which a repeated prefix offered other candidates than before. */
  readonly divergences: () => ReadonlyArray<Divergence>
}

/** A schedule to run. */
export interface Proposal {
  /** The code of a seeded schedule; other schedules are repeated by their steps. */
  readonly code?: string
  readonly choose: Chooser
  /** Called with the number of steps after the schedule was run. */
  readonly finished: (steps: number) => void
}

/** The same choices led to a different situation, so the outcome depends on more than the schedule. */
export interface Divergence {
  /** The number of steps before the situation. */
  readonly depth: number
  readonly expected: string
  readonly actual: string
}

/** The candidates of a choice point as text; equal texts mean equal situations. */
export const situation = ({ candidates }: ChoicePoint): string =>
  candidates.map(({ actor, label }) => `${actor}: ${label}`).join(" | ")

/** The default choice: the client or actor of the previous step, else the first candidate. */
export const stay = ({ candidates, latest }: ChoicePoint): number => {
  const [first] = candidates
  if (first === undefined) throw new RangeError("There is no candidate for the next step.")
  const is = (wanted: number) => candidates.find(({ actor }) => actor === wanted)?.actor
  return latest === undefined ? first.actor : (is(latest) ?? is(actorOf(latest)) ?? first.actor)
}
