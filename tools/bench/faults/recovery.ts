/** A call that ended. Times are milliseconds of one clock. */
export interface EndedCall {
  readonly kind: string
  readonly endedAtMs: number
  readonly succeeded: boolean
}

const SECOND_MS = 1_000

/**
 * How long after a fault the first second begins in which every kind of call succeeds and none fails.
 * @param untilMs the time up to which calls are known
 * @returns whole seconds, in milliseconds; `undefined` when there is no such second yet
 */
export const recoveryMs = (
  calls: ReadonlyArray<EndedCall>,
  kinds: ReadonlyArray<string>,
  faultEndedAtMs: number,
  untilMs: number
): number | undefined => {
  for (let afterMs = 0; faultEndedAtMs + afterMs + SECOND_MS <= untilMs; afterMs += SECOND_MS) {
    const fromMs = faultEndedAtMs + afterMs
    const second = calls.filter(({ endedAtMs }) => endedAtMs >= fromMs && endedAtMs < fromMs + SECOND_MS)
    const isWhole = kinds.every((kind) => second.some((call) => call.kind === kind))
    if (isWhole && second.every(({ succeeded }) => succeeded)) return afterMs
  }
  return undefined
}
