import { overlap } from "../invariants/overlap.ts"
import { tokenOrder, type Grant } from "../invariants/token-order.ts"
import { shown, unknownOutput, type Model, type Observed } from "../model.ts"
import { hasReturned, type Operation } from "../operation.ts"
import { certainHolds } from "./mutex.ts"

/**
 * As {@link MutexInput}, but `acquire` returns the fencing token, or null when it was refused. `write` presents a token
 * to the protected resource and returns whether it was accepted.
 */
export type FencedMutexInput =
  | { readonly action: "acquire" | "release" | "expire"; readonly owner: string; readonly lock?: string }
  | { readonly action: "write"; readonly token: number; readonly owner?: string; readonly lock?: string }

/** A token or null for `acquire`, a boolean for the other actions. */
export type FencedMutexOutput = number | null | boolean

/** The state of a fenced mutex. */
export interface FencedMutexState {
  readonly holder: string | null
  /** The largest token granted so far. */
  readonly token: number
  /** The largest token that has written so far. */
  readonly fence: number
}

/** A lock whose tokens grow with each owner, and a resource that rejects tokens older than the newest it has seen. */
export const fencedMutex = (): Model<FencedMutexState, FencedMutexInput, FencedMutexOutput> => ({
  name: "fenced mutex",
  initial: () => ({ holder: null, token: -Infinity, fence: -Infinity }),
  step: stepFencedMutex,
  isReadOnly: ({ action }, output) => (output === null || output === false) && action !== "expire",
  stateKey: ({ holder, token, fence }) => `${token} ${fence} ${holder ?? ""}`,
  partition: ({ lock }) => lock ?? "",
  describe: (input, output) => {
    const subject = input.action === "write" ? `token ${input.token}` : input.owner
    return `${input.action}(${subject}) → ${shown(output)}`
  },
  invariants: [
    (operations) => overlap(certainHolds(operations, (output) => typeof output === "number")),
    (operations) => tokenOrder(grantsOf(operations))
  ]
})

const stepFencedMutex = (
  state: FencedMutexState,
  input: FencedMutexInput,
  output: Observed<FencedMutexOutput>
): FencedMutexState | undefined => {
  if (input.action === "expire") return { ...state, holder: null }
  if (input.action === "acquire") return stepAcquire(state, input.owner, output)
  const accepted = input.action === "write" ? input.token >= state.fence : state.holder === input.owner
  if (output !== unknownOutput && output !== accepted) return undefined
  if (!accepted) return state
  return input.action === "write" ? { ...state, fence: input.token } : { ...state, holder: null }
}

const stepAcquire = (
  state: FencedMutexState,
  owner: string,
  output: Observed<FencedMutexOutput>
): FencedMutexState | undefined => {
  if (output === null) return state.holder === null ? undefined : state
  if (state.holder !== null) return undefined
  if (typeof output !== "number") return { ...state, holder: owner }
  return output > state.token ? { ...state, holder: owner, token: output } : undefined
}

const grantsOf = (operations: ReadonlyArray<Operation<FencedMutexInput, FencedMutexOutput>>) =>
  operations.filter(hasReturned).flatMap((operation): Array<Grant<FencedMutexInput, FencedMutexOutput>> => {
    const { output } = operation.outcome
    const isGrant = operation.input.action === "acquire" && typeof output === "number"
    return isGrant ? [{ token: output, operation }] : []
  })
