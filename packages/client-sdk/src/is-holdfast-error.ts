import { isReported } from "./errors.ts"
import type { HoldfastError } from "./types.ts"

/** Whether a call of a client failed with this: tells Holdfast's errors from all others in a `catch`. */
export const isHoldfastError = (error: unknown): error is HoldfastError => isReported(error)
