import { brief, unknownOutput, type Invariant, type Model, type Observed } from "../model.ts"
import { hasReturned } from "../operation.ts"

/**
 * `call` requests an effect under a key; `payload` identifies the request, for example by a fingerprint. `count` asks
 * how often the effect of the key was executed.
 */
export type IdempotentInput =
  | { readonly action: "call"; readonly key: string; readonly payload?: string }
  | { readonly action: "count"; readonly key: string }

/** For `call`: the answer, or that the key was used with another payload. For `count`: a number. */
export type IdempotentOutput =
  | { readonly answer: string | number | null }
  | { readonly reused: true }
  | number

/** Null until the key is used. `answer` is absent until a client has seen it. */
export type IdempotentState = {
  readonly payload: string
  readonly answer?: string | number | null
} | null

/** A call that is executed once per key; every caller gets the first answer. One partition per key. */
export const idempotentCall = (): Model<IdempotentState, IdempotentInput, IdempotentOutput> => ({
  name: "idempotent call",
  initial: () => null,
  step: stepIdempotent,
  isReadOnly: ({ action }, output) =>
    action === "count" || (typeof output === "object" && "reused" in output),
  partition: ({ key }) => key,
  describe: (input, output) => {
    const answer = output === unknownOutput ? "?" : brief(output)
    return `${input.action}(${input.key}) → ${answer}`
  },
  invariants: [oneAnswer]
})

const stepIdempotent = (
  state: IdempotentState,
  input: IdempotentInput,
  output: Observed<IdempotentOutput>
): IdempotentState | undefined => {
  if (input.action === "count") {
    return output === unknownOutput || output === (state === null ? 0 : 1) ? state : undefined
  }
  const payload = input.payload ?? ""
  if (output === unknownOutput) return state ?? { payload }
  if (typeof output === "number") return undefined
  if ("reused" in output) return state !== null && state.payload !== payload ? state : undefined
  const { answer } = output
  if (state === null) return { payload, answer }
  if (state.payload !== payload) return undefined
  if (state.answer === undefined) return { payload, answer }
  return state.answer === answer ? state : undefined
}

/** Checks that all answers under one key are equal. O(n). */
const oneAnswer: Invariant<IdempotentInput, IdempotentOutput> = (operations, key) => {
  const answers = operations.filter(hasReturned).flatMap((operation) => {
    const { output } = operation.outcome
    return typeof output === "object" && "answer" in output ? [{ operation, answer: output.answer }] : []
  })
  const [first] = answers
  const other = answers.find(({ answer }) => answer !== first?.answer)
  if (first === undefined || other === undefined) return undefined
  return {
    invariant: "oneAnswer",
    message: `Key ${key} answered ${brief(first.answer)} and ${brief(other.answer)}.`,
    operations: [first.operation, other.operation]
  }
}
