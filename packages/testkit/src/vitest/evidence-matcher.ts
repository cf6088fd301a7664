// Importing this module adds `expect(evidence).toShow(...)` to vitest.
import { expect } from "vitest"
import { explainMissing, type LiveEvidence } from "../evidence/evidence.ts"
import type { ExpectedEvidence, Watched } from "../evidence/expectation.ts"

declare module "vitest" {
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /**
     * Fails when the servers did not run the expected commands. Accepts what `evidence(...).around(...)` resolves with,
     * and the `evidence` of a test's context, whose counters it reads now; await it in that case.
     */
    toShow(this: Matchers<R, T>, expected: ExpectedEvidence): T extends LiveEvidence ? Promise<void> : R
  }
}

expect.extend({
  toShow(received: Watched | LiveEvidence, expected: ExpectedEvidence) {
    if ("read" in received) return received.read().then((found) => verdict(found, expected))
    return verdict(received, expected)
  }
})

const verdict = (found: Watched, expected: ExpectedEvidence) => {
  const message = explainMissing(found, expected)
  return {
    pass: message === undefined,
    message: () => message ?? "the servers show what was not expected",
    actual: { redis: found.redis?.commands, sql: found.sql?.commands },
    expected
  }
}
