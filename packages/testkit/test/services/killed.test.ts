import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { startServices, type ServiceOptions } from "../../src/index.ts"
import { killRunners, startRunner } from "./killed.ts"
import { concerns, ownTemporaryBase, privateSource, processExists, until } from "./support.ts"

const concerned = concerns("native", "packages")
const native: ServiceOptions = { source: [await privateSource()] }

const temporary = ownTemporaryBase()
afterAll(temporary.remove)

afterEach(killRunners)

/** The benchmark requires 100 ms; this allows for a machine that is busy with other tests. */
const GONE_MS = 500

describe.runIf(concerned && existsSync("/proc/self/environ"))("a runner that is killed", () => {
  beforeAll(async () => (await startServices(native)).stop())

  test("leaves no server and no directory, 20 times", async () => {
    const killOne = async () => {
      const runner = startRunner(native)
      await runner.ready
      expect(runner.descendants().length).toBeGreaterThanOrEqual(2)
      await runner.kill()
      await until("no server is left", GONE_MS, () => runner.descendants().length === 0)
    }
    for (let pair = 0; pair < 10; pair++) await Promise.all([killOne(), killOne()])
    await until("no directory is left", GONE_MS, () => temporary.list().length === 0)
  }, 300_000)

  test("leaves no server when it is killed while starting, and the next start removes the rest", async () => {
    for (let round = 0; round < 20; round++) {
      const runner = startRunner(native)
      // Spread over the time that a start takes, because no moment may leave a server behind.
      await new Promise((wake) => setTimeout(wake, 150 + round * 20))
      await runner.kill()
      await until("no server is left", GONE_MS, () => runner.descendants().length === 0)
    }
    await (await startServices(native)).stop()
    expect(temporary.list()).toEqual([])
  }, 300_000)

  test("leaves no frozen server", async () => {
    const runner = startRunner(native, { freeze: true })
    await runner.ready
    await runner.kill()
    await until("no server is left", GONE_MS, () => runner.descendants().length === 0)
  })

  test("leaves no server when its supervisors ended before it", async () => {
    const runner = startRunner(native)
    const { sql, redis } = await runner.ready
    const servers = [sql?.pid ?? 0, redis?.pid ?? 0]
    for (const pid of runner.descendants()) if (!servers.includes(pid)) terminate(pid)
    await until("no server is left", GONE_MS, () => !servers.some(processExists))
    await runner.kill()
    await until("no supervisor is left", GONE_MS, () => runner.descendants().length === 0)
  })
})

/** A supervisor consists of two processes, one of which ends the other. */
function terminate(pid: number): void {
  try {
    process.kill(pid, "SIGTERM")
  } catch (error) {
    if (processExists(pid)) throw error
  }
}

describe.runIf(concerned)("two first starts at once", () => {
  test("both get a server, from one template", async () => {
    const cache = mkdtempSync(join(tmpdir(), "first-start-"))
    const runners = [1, 2].map(() =>
      startRunner({ ...native, redis: false }, { env: { HOLDFAST_CACHE: cache } })
    )
    try {
      await Promise.all(runners.map((runner) => runner.ready))
      expect(readdirSync(join(cache, "templates"))).toHaveLength(1)
    } finally {
      await Promise.all(runners.map((runner) => runner.kill()))
      rmSync(cache, { recursive: true, force: true })
    }
  })
})
