import { crashAt, type CrashOptions } from "@holdfast/testkit/race"
import { inject } from "vitest"
import { NODE_ARGUMENTS } from "./processes/server-process.ts"
import { makeRawClient, type RawClient } from "./raw-client.ts"
import { TEST_SECRET } from "./settings.ts"
import type { Shop } from "./shop.ts"

const CHILD_DEADLINE_MS = 90_000

/** Another server of the shop, as a program for `crashAt`. Port 0 takes a free port. */
export const crashingServer = (
  shop: Shop,
  { port = 0, workers = false }: { readonly port?: number; readonly workers?: boolean } = {}
): CrashOptions => {
  const mysqlUrl = new URL(inject("mysqlUrl"))
  mysqlUrl.pathname = `/${shop.database}`
  return {
    module: new URL("./crashing-server.ts", import.meta.url),
    nodeArgs: NODE_ARGUMENTS,
    timeoutMs: CHILD_DEADLINE_MS,
    env: {
      HOLDFAST_MYSQL_URL: mysqlUrl.href,
      HOLDFAST_REDIS_URL: inject("redisUrl"),
      HOLDFAST_SECRET: TEST_SECRET,
      HOLDFAST_WORKERS: String(workers),
      HOLDFAST_ARGON2_MEMORY_KIB: "8",
      HOLDFAST_ARGON2_ITERATIONS: "1",
      PORT: String(port)
    }
  }
}

/**
 * Starts another server of the shop in a process that is killed at the step. The step is reached by the request that
 * `send` makes, or by the server's own jobs. Resolves when the process is dead.
 */
export const killServerAt = async (
  step: string,
  shop: Shop,
  send: ((client: RawClient) => Promise<unknown>) | "run its jobs"
): Promise<void> => {
  await using child = crashAt(step, crashingServer(shop, { workers: send === "run its jobs" }))
  if (send !== "run its jobs") {
    const [, url] = await child.output(/serving on (\S+) /)
    await send(makeRawClient(url!))
  }
  await child.died
}
