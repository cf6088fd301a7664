import type { Fetch } from "@holdfast/client-sdk"
import type { ServerName } from "./stage.ts"

/** A request that a server did not answer before the client gave it up. */
export interface UnansweredRequest {
  readonly server: ServerName
  readonly path: string
  readonly startedAtMs: number
  readonly waitedMs: number
}

interface BalancedServer {
  readonly name: ServerName
  readonly url: string
}

/**
 * A `fetch` that sends requests to the servers in turn, as a load balancer without health checks does.
 * @param onUnanswered called for each request that ended without an answer's head
 */
export const balancedFetch = (
  servers: ReadonlyArray<BalancedServer>,
  onUnanswered: (request: UnansweredRequest) => void
): Fetch => {
  let turn = 0
  return async (url, init) => {
    const { name, url: base } = servers[turn++ % servers.length]!
    const { pathname, search } = new URL(url)
    const startedAtMs = performance.now()
    try {
      return await fetch(`${base}${pathname}${search}`, init)
    } catch (error) {
      onUnanswered({ server: name, path: pathname, startedAtMs, waitedMs: performance.now() - startedAtMs })
      throw error
    }
  }
}
