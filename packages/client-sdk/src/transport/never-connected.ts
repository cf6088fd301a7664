/**
 * The codes under which Node, Bun and Deno report that no connection was made. Browsers do not tell, so there every
 * failed request may have been sent.
 */
const codes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused"
])

/** Whether the error of a `fetch` proves that the server never saw the request. */
export const isNeverConnected = (error: unknown): boolean => {
  if (typeof error !== "object" || error === null) return false
  // A host with several addresses: every one of them has to have refused.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isNeverConnected)
  if ("code" in error && typeof error.code === "string" && codes.has(error.code)) return true
  return "cause" in error && isNeverConnected(error.cause)
}
