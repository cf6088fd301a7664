import { crashAt, type CrashOptions } from "@holdfast/testkit"
import { inject } from "vitest"
import { NODE_ARGUMENTS } from "./processes/server-process.ts"
import { makeRawClient, type RawClient } from "./raw-client.ts"
import { TEST_SECRET } from "./settings.ts"
import type { Shop } from "./shop.ts"

const CHILD_DEADLINE_MS = 90_000

/** One more server of the shop, as a program for `crashAt`. Port 0 takes a free port. */
export const crashingServer = (
  shop: Shop,
  { port = 0, workers = false }: { readonly port?: number; readonly workers?: boolean } = {}
): CrashOptions => {
  const mysqlUrl = new URL(inject("mysqlUrl"))
  mysqlUrl.pathname = `/${shop.database}`
  return {
    module: new URL("./crashing-server.ts", import.meta.url),
    nodeArgs: NODE_ARGUMENTS,
    deadlineMs: CHILD_DEADLINE_MS,
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
 * Starts one more server of the shop, in a process that is killed when it passes the step, and gets it there: by what is
 * sent to it, or by its own workers. Resolves when the process is dead.
 */
export const killServerAt = async (
  step: string,
  shop: Shop,
  send: ((client: RawClient) => Promise<unknown>) | "its workers are enough"
): Promise<void> => {
  await using child = crashAt(step, crashingServer(shop, { workers: send === "its workers are enough" }))
  if (send !== "its workers are enough") {
    const [, url] = await child.output(/serving on (\S+) /)
    await send(makeRawClient(url!))
  }
  await child.died
}
