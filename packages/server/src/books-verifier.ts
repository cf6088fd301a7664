import { Effect } from "effect"
import { DatabaseClock } from "./platform/db/database-clock.ts"
import { asLeader } from "./platform/jobs/leader.ts"
import type { Job } from "./platform/jobs/runner.ts"
import { rememberNewVerdict } from "./platform/telemetry/process.ts"
import { verifyNew } from "./verify.ts"

const EVERY_MS = 60_000

/** How old an order is at most that counts as new: it has been paid, or has expired, meanwhile. */
const NEW_MS = 900_000

/** Audits the orders of the last quarter of an hour, every minute, in one process. The metrics have the verdict. */
export const booksVerifier = {
  name: "books verifier",
  intervalMs: 15_000,
  run: Effect.gen(function* () {
    // The lease ends before the audit begins: an audit only reads, and keeps no row locked.
    const isTurn = yield* asLeader("books verifier", EVERY_MS, () => Effect.succeed(1))
    if (isTurn === 0) return 0
    const { nowMs } = yield* DatabaseClock
    const reports = yield* verifyNew(firstIdAt(nowMs() - NEW_MS))
    const wrong = reports.filter(({ ok }) => !ok)
    if (wrong.length > 0)
      yield* Effect.logError("the books of new orders are wrong; run `holdfast verify`", {
        checks: wrong.map(({ name }) => name),
        problems: wrong[0]!.problems
      })
    yield* rememberNewVerdict(wrong.length === 0)
    return 0
  })
} satisfies Job<unknown>

/** Lower than every UUIDv7 of that millisecond. */
const firstIdAt = (atMs: number): Buffer =>
  Buffer.from(Math.max(0, Math.floor(atMs)).toString(16).padStart(12, "0").padEnd(32, "0"), "hex")
