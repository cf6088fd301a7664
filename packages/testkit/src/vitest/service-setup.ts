import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { startServices, type ServiceOptions } from "../services/index.ts"
import { redisConnection, sqlConnection } from "./connection.ts"
import { stopOrKeep } from "./keep.ts"

/**
 * Creates a vitest `globalSetup` that starts the services once for the whole run. The fixtures of `createTest` use them.
 *
 * The setup rejects with the errors of `startServices`.
 *
 * @example
 * ```ts
 * // test/services.ts, named in vitest's `globalSetup`
 * import { serviceSetup } from "@holdfast/testkit/vitest-setup"
 * export default serviceSetup({ sql: { kind: "mariadb" } })
 * ```
 */
export function serviceSetup(options: Omit<ServiceOptions, "dataDirectory"> = {}) {
  return async (project: TestProject): Promise<() => Promise<void>> => {
    const say = options.onProgress ?? ((line: string) => console.error(`testkit: ${line}`))
    const services = await startServices({ ...options, onProgress: say })
    const directory = mkdtempSync(join(tmpdir(), "testkit-run-"))
    const keptFile = join(directory, "kept")
    project.provide("holdfast.testkit", {
      sql: services.sql && sqlConnection(services.sql),
      redis: services.redis && redisConnection(services.redis),
      keptFile
    })
    return async () => {
      await stopOrKeep(services, keptFile, (line) => console.error(line))
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
