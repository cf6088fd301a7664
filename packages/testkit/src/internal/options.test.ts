import { expect, test } from "vitest"
import { race } from "../race/race.ts"
import { assertOptions, UnknownOption } from "./options.ts"

const names = { timeoutMs: true, everyMs: true } as const

test("an unknown option is refused, with the nearest one", () => {
  const given = { timeout: 5 } as { timeoutMs?: number; everyMs?: number }
  expect(() => assertOptions("eventually", given, names)).toThrow(
    "eventually has no option timeout; did you mean timeoutMs? Its options are timeoutMs, everyMs."
  )
  const far = { somethingElse: 5 } as { timeoutMs?: number; everyMs?: number }
  expect(() => assertOptions("eventually", far, names)).toThrow(
    "eventually has no option somethingElse. Its options are timeoutMs, everyMs."
  )
  assertOptions("eventually", { timeoutMs: 5, everyMs: 1 }, names)
})

test("a tool refuses what would silently not happen", async () => {
  const misspelt: object = { timeOutMs: 5 }
  await expect(race(1, () => 1, misspelt)).rejects.toBeInstanceOf(UnknownOption)
})
