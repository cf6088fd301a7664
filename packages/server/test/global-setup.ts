import { type Services, startServices } from "@holdfast/testkit"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    readonly mysqlUrl: string
    readonly redisUrl: string
  }
}

/** One MySQL or MariaDB and one Redis for the whole run; every test file creates its own database there. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const services: Services = await startServices({
    onProgress: (line) => console.error(`server tests: ${line}`)
  })
  project.provide("mysqlUrl", services.sql.url())
  project.provide("redisUrl", services.redis.url())
  return () => services.stop()
}
