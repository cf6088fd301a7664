import { expect, test } from "vitest"
import { soak } from "../test/soak.ts"

test("the books stay exact through two hundred rounds of faults", async () => {
  const report = await soak({ rounds: 200, seed: 1 })
  expect(report).toMatchObject({ counted: report.committed, doubleCommits: 0, overtaken: 0 })
  expect(report.committed).toBeGreaterThanOrEqual(200)
}, 180_000)
