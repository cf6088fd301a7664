import type { Operation, OperationResultEnvelope } from "@trpc/client"
import { splitLink } from "@trpc/client/links/splitLink"
import type { Observable } from "@trpc/server/observable"
import type { HoldfastLink } from "./call.ts"
import type { ClientError } from "./failure.ts"

/** Sends a request through the links. */
export type Send = (
  request: Omit<Operation, "id">
) => Observable<OperationResultEnvelope<unknown, ClientError>, ClientError>

/**
 * Joins links, the last of which sends. tRPC's own client, which does the same, would bring its WebSockets and its
 * subscriptions into every page.
 */
export const chain = (links: ReadonlyArray<HoldfastLink>): Send => {
  const joined = splitLink({ condition: () => true, true: [...links], false: [] })({})
  let id = 0
  return (request) => {
    id += 1
    return joined({ op: { ...request, id }, next: neverNext })
  }
}

const neverNext = () => {
  throw new Error("the last link did not send the request")
}
