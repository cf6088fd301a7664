import { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { type ControlledTransaction, sql } from "kysely"
import { Database } from "./platform/db/database.ts"
import type { DB } from "./platform/db/tables.ts"
import { auditGates, type GateAudit } from "./modules/coupons/issuing/audit.ts"
import { auditRanking, type RankingAudit } from "./modules/ranking/audit.ts"
import { type Check, checks } from "./platform/audit/checks.ts"

/** How many problems of one check are shown; all of them are counted. */
const SHOWN_PROBLEMS = 20

export interface CheckReport {
  readonly name: string
  readonly promise: string
  readonly ok: boolean
  /** How many things were looked at. */
  readonly checked: number
  /** How many of them are wrong. */
  readonly problemCount: number
  /** The first of the wrong ones, with the numbers that do not fit. */
  readonly problems: ReadonlyArray<Readonly<Record<string, unknown>>>
}

export interface VerifyReport {
  readonly ok: boolean
  readonly checks: ReadonlyArray<CheckReport>
}

/**
 * Audits the database: the books of stock, points, orders and payments against each other. It reads one consistent
 * snapshot, so it may run in the middle of a sale, and changes nothing. Where there is a Redis, it is held against the
 * books as well.
 */
export const verify: Effect.Effect<VerifyReport, ServiceUnavailable, Database> = Effect.gen(function* () {
  const { connected, kysely } = yield* Database
  const audit = async () => {
    const snapshot = await kysely
      .startTransaction()
      .setIsolationLevel("repeatable read")
      .setAccessMode("read only")
      .execute()
    try {
      const reports: Array<CheckReport> = []
      for (const check of checks) reports.push(await runCheck(snapshot, check))
      return { checks: reports }
    } finally {
      await snapshot.rollback().execute()
    }
  }
  const books = yield* connected(Effect.promise(audit))
  const ranking = yield* auditRanking
  const gates = yield* auditGates
  const reports = [
    ...books.checks,
    ...(ranking === undefined ? [] : [rankingReport(ranking)]),
    ...(gates === undefined ? [] : [gatesReport(gates)])
  ]
  return { ok: reports.every((report) => report.ok), checks: reports }
})

const rankingReport = ({ counted, problems }: RankingAudit): CheckReport => ({
  name: "ranking",
  promise: "the top sellers count every paid order of the last days once, and no other",
  ok: problems.length === 0,
  checked: counted,
  problemCount: problems.length,
  problems: problems.slice(0, SHOWN_PROBLEMS)
})

const gatesReport = ({ checked, problems }: GateAudit): CheckReport => ({
  name: "coupon gates",
  promise: "every gate in Redis equals the database, and no reservation is older than its deadline",
  ok: problems.length === 0,
  checked,
  problemCount: problems.length,
  problems: problems.slice(0, SHOWN_PROBLEMS)
})

const runCheck = async (snapshot: ControlledTransaction<DB>, check: Check): Promise<CheckReport> => {
  const counted = await sql<{ n: number }>`${sql.raw(check.countSql)}`.execute(snapshot)
  const wrong = await sql<Record<string, unknown>>`${sql.raw(check.problemsSql)}`.execute(snapshot)
  return {
    name: check.name,
    promise: check.promise,
    ok: wrong.rows.length === 0,
    checked: counted.rows[0]?.n ?? 0,
    problemCount: wrong.rows.length,
    problems: wrong.rows.slice(0, SHOWN_PROBLEMS)
  }
}
