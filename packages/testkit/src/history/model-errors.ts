import { brief } from "./model.ts"

/** `step` changed the state that it was given, so the checker can no longer go back to it. */
export class MutatedStateError extends Error {
  readonly _tag = "MutatedState"
  readonly model: string

  constructor(model: string, before: string, after: string) {
    super(
      `The step of model ${model} changed its state in place, from ${brief(before)} to ${brief(after)}. ` +
        "It must leave the state alone and return another one."
    )
    this.name = "MutatedStateError"
    this.model = model
  }
}

/** The model has foresight, and an operation that is not read-only is impossible in some state. */
export class UnsoundForesightError extends Error {
  readonly _tag = "UnsoundForesight"
  readonly model: string

  constructor(model: string) {
    super(
      `Model ${model} has a foresight, but refused an operation that is not read-only. ` +
        "Foresight is for models in which those are always possible."
    )
    this.name = "UnsoundForesightError"
    this.model = model
  }
}
