/** The stores of a drill. */
export interface Ground {
  readonly mysqlUrl: string
  readonly redisUrl: string
  readonly note: (line: string) => void
}

/** What callers noticed. */
export interface DrillFigures {
  readonly calls: number
  readonly failed: number
  readonly worstMs: number
  /** The longest time in which no call of anybody succeeded. */
  readonly holeMs: number
}
