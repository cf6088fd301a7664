import { expect, test } from "vitest"
import type { StrategiesResult } from "../bench/strategies/index.ts"
import { runCommand } from "./testing/command.ts"

// Guarantees: the comparison of strategies sees an oversold product, and the exact ones sell exactly what there is.
test("the benchmark of strategies tells exact ones from the one that loses updates", async () => {
  const args = ["strategies", "--rounds", "1", "--seconds", "0.2", "--json"]
  const { code, stderr, stdout } = await runCommand("bench", args, {}).ended
  expect(code, stderr).toBe(0)
  const { scarce, strategies } = JSON.parse(stdout) as StrategiesResult
  const { none, optimisticVersion, ...waiting } = strategies
  expect(none.lostUpdates).toBeGreaterThan(0)
  expect(none.isExact).toBe(false)
  // It may give up, but never sells what is not there.
  expect(optimisticVersion).toMatchObject({ lostUpdates: 0 })
  expect(Object.keys(waiting)).toHaveLength(6)
  for (const figures of Object.values(waiting))
    expect(figures).toMatchObject({ lostUpdates: 0, winners: [scarce], refused: 0, isExact: true })
})
