import { startServices } from "@holdfast/testkit"
import type { TestProject } from "vitest/node"
import { startTopology, topologyOfRun } from "./redis-topology.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly mysqlUrl: string
    readonly redisUrl: string
  }
}

/** One MySQL or MariaDB and one Redis for the whole run; every test file creates its own database there. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const services = await startServices({
    onProgress: (line) => console.error(`server tests: ${line}`)
  })
  const asked = topologyOfRun()
  const topology = asked && (await startTopology(asked))
  project.provide("mysqlUrl", services.sql.url())
  project.provide("redisUrl", topology?.url ?? services.redis.url())
  return async () => {
    await Promise.all([services.stop(), topology?.stop()])
  }
}
