import { randomUUID } from "node:crypto"

/** A caller's own request id is adopted when it is safe in a log line and a header. */
const REQUEST_ID = /^[\w.:-]{1,64}$/

/** The id of a request, from its header `x-request-id`. */
export const requestIdOf = (given: string | ReadonlyArray<string> | undefined): string =>
  typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID()
