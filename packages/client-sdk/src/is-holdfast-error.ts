import { isReported } from "./errors.ts"
import type { HoldfastError } from "./types.ts"

/** Whether a caught value is an error that a call of the client reported, and not some other error. */
export const isHoldfastError = (error: unknown): error is HoldfastError => isReported(error)
