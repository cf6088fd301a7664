import { overlap, type Hold } from "../invariants/overlap.ts"
import { shown, unknownOutput, type Model, type Observed } from "../model.ts"
import { endOf, type Operation } from "../operation.ts"

/**
 * `acquire` returns whether the owner now holds the lock, `release` whether it still held it. `expire` is the end of a
 * lease: it frees the lock regardless of its holder, and returns true.
 */
export interface MutexInput {
  readonly action: "acquire" | "release" | "expire"
  /** Identifies one attempt to hold the lock, not a process. */
  readonly owner: string
  /** The name of the lock. One partition per name. */
  readonly lock?: string
}

/** Whether the action succeeded. */
export type MutexOutput = boolean

/** The owner, or null while the lock is free. */
export type MutexState = string | null

/** Variants of the mutex model. */
export interface MutexOptions {
  /**
   * When `acquire` may be refused. `held` (the default): only while the lock is held. `always`: also for other reasons,
   * such as a full queue or a lost race.
   */
  readonly refuses?: "held" | "always"
}

/** A lock with at most one owner at a time. */
export const mutex = ({ refuses = "held" }: MutexOptions = {}): Model<
  MutexState,
  MutexInput,
  MutexOutput
> => ({
  name: "mutex",
  initial: () => null,
  step: (holder, input, output) => stepMutex(holder, input, output, refuses),
  isReadOnly: ({ action }, output) => !output && action !== "expire",
  stateKey: (holder) => holder ?? "",
  partition: ({ lock }) => lock ?? "",
  describe: ({ action, owner }, output) => `${action}(${owner}) → ${shown(output)}`,
  invariants: [(operations) => overlap(certainHolds(operations, (output) => output))]
})

const stepMutex = (
  holder: MutexState,
  { action, owner }: MutexInput,
  output: Observed<boolean>,
  refuses: "held" | "always"
): MutexState | undefined => {
  if (action === "expire") return null
  if (action === "acquire") {
    if (output === false) return holder !== null || refuses === "always" ? holder : undefined
    return holder === null ? owner : undefined
  }
  const held = holder === owner
  if (output !== unknownOutput && output !== held) return undefined
  return held ? null : holder
}

/**
 * The periods during which owners certainly held the lock: from the return of their acquire to the first call that may
 * have ended it, which is their own release or any expire.
 */
export const certainHolds = <Input extends MutexLikeInput, Output>(
  operations: ReadonlyArray<Operation<Input, Output>>,
  granted: (output: Output) => boolean
): Array<Hold<Input, Output>> => {
  const firstEnd = endsOfHolds(operations)
  return operations.flatMap((operation): Array<Hold<Input, Output>> => {
    const { input, outcome } = operation
    if (input.action !== "acquire" || outcome.status !== "returned" || !granted(outcome.output)) return []
    const holder = input.owner ?? ""
    return [{ fromNs: outcome.returnedAtNs, toNs: firstEnd(holder, operation.calledAtNs), holder, operation }]
  })
}

/** The parts of an input that {@link certainHolds} reads. */
interface MutexLikeInput {
  readonly action: string
  readonly owner?: string
}

/** Finds the earliest call that may have ended a hold whose acquire was called at the given time. */
const endsOfHolds = (operations: ReadonlyArray<Operation<MutexLikeInput, unknown>>) => {
  const expires = operations.filter(({ input }) => input.action === "expire")
  const releases = Map.groupBy(
    operations.filter(({ input }) => input.action === "release"),
    ({ input }) => input.owner ?? ""
  )
  const earliest = (ends: ReadonlyArray<Operation<MutexLikeInput, unknown>>, acquiredAtNs: number): number =>
    ends.reduce(
      (found, end) => (endOf(end) >= acquiredAtNs ? Math.min(found, end.calledAtNs) : found),
      Infinity
    )
  return (owner: string, acquiredAtNs: number): number =>
    Math.min(earliest(releases.get(owner) ?? [], acquiredAtNs), earliest(expires, acquiredAtNs))
}
