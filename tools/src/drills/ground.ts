/** The stores of a drill. */
export interface Ground {
  readonly mysqlUrl: string
  readonly redisUrl: string
  readonly note: (line: string) => void
}
