import { startServices } from "@holdfast/testkit"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    readonly mysqlUrl: string
  }
}

/** One MySQL or MariaDB for the whole run. Test files start their own Redis servers, which they freeze and kill. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const services = await startServices({
    redis: false,
    onProgress: (line) => console.error(`locks tests: ${line}`)
  })
  project.provide("mysqlUrl", services.sql.url())
  return () => services.stop()
}
