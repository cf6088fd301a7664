import { RedisUnavailable } from "./breaker.ts"

/** Whether Redis refused a command because a key holds a value of another type: somebody else's data. */
export const isWrongType = (error: unknown): boolean => {
  const cause = error instanceof RedisUnavailable ? error.cause : error
  return cause instanceof Error && /^(ERR .*)?WRONGTYPE\b/.test(cause.message)
}
