import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, test } from "vitest"
import { startServices } from "../../src/index.ts"
import type { Source } from "../../src/services/service.ts"
import { runVitest } from "../vitest-project.ts"
import { concerns, dockerIsWanted, ownTemporaryBase, packagesAreHere, privateSource } from "./support.ts"

const forced = process.env["HOLDFAST_SOURCE"] ?? ""
concerns("url", "docker", "native", "packages")
const installed = await privateSource()
const temporary = ownTemporaryBase()
afterAll(temporary.remove)

/** A run that is forced to containers tests those; any other run tests the sources that run processes. */
const isOfThisRun = (source: Source) => forced === "" || (forced === "docker") === (source === "docker")
const docker = isOfThisRun("docker") && (await dockerIsWanted())
const packages = isOfThisRun("packages") && packagesAreHere()

const suite = fileURLToPath(new URL("everywhere", import.meta.url))

/** Runs the suite on servers of this source only. */
const runSuite = async (source: Source, env: NodeJS.ProcessEnv = {}) => {
  const { code, output } = await runVitest(suite, { HOLDFAST_SOURCE: source, ...env })
  expect(output).toMatch(/Tests +(?:\d+ passed \| \d+ skipped|\d+ passed) /)
  for (const service of ["sql", "redis"])
    expect(output).toMatch(new RegExp(`testkit: ${service}: .* from ${source} on `))
  expect(code).toBe(0)
}

describe("one suite passes on servers", { timeout: 600_000 }, () => {
  test.runIf(isOfThisRun("url"))("behind a URL", async () => {
    await using owner = await startServices({ source: [installed] })
    await runSuite("url", {
      HOLDFAST_MYSQL_URL: owner.sql.url(),
      HOLDFAST_REDIS_URL: owner.redis.url()
    })
  })

  test.runIf(docker)("in containers", () => runSuite("docker"))

  test.runIf(isOfThisRun("native") && installed === "native")("that are installed", () => runSuite("native"))

  test.runIf(packages)("from the distribution's packages", () => runSuite("packages"))
})
