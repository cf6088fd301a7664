// Importing this module (for instance from a setup file) adds `expect(evidence).toShow(...)` to vitest.
import { expect } from "vitest"
import { explainMissing } from "./evidence.ts"
import type { ExpectedEvidence, Watched } from "./expectation.ts"

declare module "vitest" {
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /** Fails when the servers did not run the expected commands. Works on what `evidence(...).around(...)` gives. */
    toShow(this: Matchers<R, T>, expected: ExpectedEvidence): R
  }
}

expect.extend({
  toShow(received: Watched, expected: ExpectedEvidence) {
    const message = explainMissing(received, expected)
    return {
      pass: message === undefined,
      message: () => message ?? "the servers show what was not expected",
      actual: { redis: received.redis?.commands, sql: received.sql?.commands },
      expected
    }
  }
})
