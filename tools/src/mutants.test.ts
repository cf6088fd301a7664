import { existsSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { mutantsIn, root } from "./mutants/mutant.ts"
import { fits, outcomeOf } from "./mutants/scratch.ts"

const mutants = mutantsIn()

describe("the mutants", () => {
  // Guarantees: no guard goes untested because the code around it has changed.
  test("every patch still applies, and the tests it names exist", async () => {
    expect(mutants.length).toBeGreaterThanOrEqual(30)
    for (const { name, patch, tests } of mutants) {
      expect(await fits(patch), `${name} applies`).toBe(true)
      for (const file of tests) expect(existsSync(join(root, file)), `${name}: ${file}`).toBe(true)
    }
  })

  test("a patch that fits nowhere is told apart", async () => {
    expect(await fits(join(root, "package.json"))).toBe(false)
  })
})

describe("the verdict on a report of the test runner", () => {
  const report = (success: boolean, numPassedTests: number, ...statuses: ReadonlyArray<string>) =>
    JSON.stringify({
      success,
      numPassedTests,
      testResults: [
        { message: "why", assertionResults: statuses.map((status) => ({ status, fullName: `is ${status}` })) }
      ]
    })

  test("only a failed test catches a mutant; a file that does not load, or runs nothing, proves nothing", () => {
    expect(outcomeOf(report(false, 1, "passed", "failed"))).toEqual({
      outcome: "failed",
      tests: ["is failed"]
    })
    expect(outcomeOf(report(true, 1, "passed"))).toEqual({ outcome: "passed" })
    expect(outcomeOf(report(false, 0))).toEqual({ outcome: "broken", reason: "why" })
    expect(outcomeOf(report(true, 0, "skipped"))).toEqual({ outcome: "broken", reason: "why" })
  })
})
