/** The text of anything thrown. An empty message (Node's AggregateError) is replaced by its code or its parts. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ")
  if (!(error instanceof Error)) return String(error)
  if (error.message !== "") return error.message
  return "code" in error ? String(error.code) : error.name
}
