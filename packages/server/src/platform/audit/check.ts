import type { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { type ControlledTransaction, sql } from "kysely"
import { Database } from "../db/database.ts"
import type { DB } from "../db/tables.ts"
import { type CheckReport, reportOf } from "./report.ts"

/** A check in SQL. */
export interface Check {
  readonly name: string
  /** The sentence that holds when there are no problems. */
  readonly promise: string
  /** Counts what the check looks at, as `n`. */
  readonly countSql: string
  /**
   * Selects the wrong rows; column names such as `user` tell what is wrong. With portions, `WITHIN(column)` stands for the
   * condition that the column belongs to the portion.
   */
  readonly problemsSql: string
  /** The ids by which the check is made in portions: what is wrong with one of them, one portion shows. */
  readonly portions?: Ids
}

/** The primary key of a table, of ids in the order of their creation. */
interface Ids {
  readonly table: string
  readonly column: string
}

/** What an audit looks at, and whom it tells how far it is. */
export interface AuditOptions {
  /** The names of the checks to make. Default: all. */
  readonly only?: ReadonlyArray<string>
  /** Checks with portions look at ids after this one only, and the others are left out. */
  readonly after?: Buffer
  /** Ids in one portion. Default: 50,000, few enough for their rows to be sorted in memory. */
  readonly portionSize?: number
  /** Called before each portion of a check. */
  readonly onProgress?: (progress: AuditProgress) => void
}

/** How far an audit is. */
export interface AuditProgress {
  readonly check: string
  /** Its place among the checks, from 1, and how many there are. */
  readonly nth: number
  readonly of: number
  /** Its portion, from 1, and how many there are. */
  readonly portion: number
  readonly portions: number
}

/**
 * Runs the checks one after another in one consistent read-only snapshot, so that they may run while servers write.
 * A statement that fails is a defect.
 */
export const runChecks = (
  checks: ReadonlyArray<Check>,
  { after, onProgress, only, portionSize = 50_000 }: AuditOptions = {}
): Effect.Effect<ReadonlyArray<CheckReport>, ServiceUnavailable, Database> =>
  Effect.gen(function* () {
    const { connected, kysely } = yield* Database
    const chosen = checks.filter(
      ({ name, portions }) =>
        (only === undefined || only.includes(name)) && (after === undefined || portions !== undefined)
    )
    const run = async () => {
      const snapshot = await kysely
        .startTransaction()
        .setIsolationLevel("repeatable read")
        .setAccessMode("read only")
        .execute()
      try {
        const portionsOf = makePortions(snapshot, portionSize, after)
        const reports: Array<CheckReport> = []
        for (const check of chosen) {
          const portions = await portionsOf(check.portions)
          const nth = reports.length + 1
          const tell = (portion: number) =>
            onProgress?.({ check: check.name, nth, of: chosen.length, portion, portions: portions.length })
          reports.push(await runCheck(snapshot, check, portions, tell))
        }
        return reports
      } finally {
        await snapshot.rollback().execute()
      }
    }
    return yield* connected(Effect.promise(run))
  })

/** A condition on a column. */
type Portion = (column: string) => string

const everything: ReadonlyArray<Portion> = [() => "TRUE"]

/** Also what is before the first id and after the last one belongs to a portion. */
const makePortions = (snapshot: ControlledTransaction<DB>, size: number, after: Buffer | undefined) => {
  const known = new Map<string, Promise<ReadonlyArray<Portion>>>()
  const ask = async ({ column, table }: Ids): Promise<ReadonlyArray<Portion>> => {
    const [id, portions]: [string, Array<Portion>] = [`\`${column}\``, []]
    for (let low = after; ;) {
      const from = low === undefined ? undefined : `X'${low.toString("hex")}'`
      const next = await sql<{ readonly id: Buffer }>`${sql.raw(
        `SELECT ${id} AS id FROM ${table} WHERE ${from === undefined ? "TRUE" : `${id} > ${from}`} ORDER BY ${id} LIMIT 1 OFFSET ${size - 1}`
      )}`.execute(snapshot)
      const high = next.rows[0]?.id
      const to = high === undefined ? undefined : `X'${high.toString("hex")}'`
      portions.push((of) =>
        [
          ...(from === undefined ? [] : [`${of} > ${from}`]),
          ...(to === undefined ? [] : [`${of} <= ${to}`]),
          "TRUE"
        ].join(" AND ")
      )
      if (high === undefined) return portions
      low = high
    }
  }
  return async (ids: Ids | undefined): Promise<ReadonlyArray<Portion>> => {
    if (ids === undefined) return everything
    const key = `${ids.table}.${ids.column}`
    const portions = known.get(key) ?? ask(ids)
    known.set(key, portions)
    return portions
  }
}

const runCheck = async (
  snapshot: ControlledTransaction<DB>,
  check: Check,
  portions: ReadonlyArray<Portion>,
  tell: (portion: number) => void
): Promise<CheckReport> => {
  const counted = await sql<{ n: number }>`${sql.raw(check.countSql)}`.execute(snapshot)
  const problems: Array<Record<string, unknown>> = []
  for (const [index, portion] of portions.entries()) {
    tell(index + 1)
    const text = check.problemsSql.replaceAll(
      /\bWITHIN\(([\w.]+)\)/g,
      (_, column: string) => `(${portion(column)})`
    )
    const wrong = await sql<Record<string, unknown>>`${sql.raw(text)}`.execute(snapshot)
    for (const row of wrong.rows) problems.push(row)
  }
  return reportOf(check, { checked: counted.rows[0]?.n ?? 0, problems })
}

/** A column of ids as text. */
export const hex = (column: string): string => `LOWER(HEX(${column}))`

/** The time since which every event is still in the outbox; older events may have been deleted. */
export const announcedSince =
  "(SELECT IF(i.outbox_trimmed_before > '1971-01-01', i.outbox_trimmed_before + INTERVAL 1 HOUR, '1970-01-01') FROM installation i)"

export const outboxCheck: Check = {
  name: "outbox",
  promise: "every event was published within a minute while a server looked after it",
  countSql: "SELECT COUNT(*) AS n FROM outbox",
  problemsSql: `
      SELECT o.id, o.topic, o.created_at FROM outbox o JOIN worker_turns t ON t.worker = 'outbox relay'
      WHERE o.published_at IS NULL AND o.created_at < t.last_round_at - INTERVAL 1 MINUTE`
}

/** A position counts only as far as there are events: one ahead of them would pass over those to come. */
export const consumersCheck: Check = {
  name: "consumers",
  promise:
    "every consumer has handled every event within a minute while it ran, and none is ahead of the outbox",
  countSql: "SELECT COUNT(*) AS n FROM worker_turns WHERE worker LIKE 'events for %'",
  problemsSql: `
      SELECT c.worker AS consumer, c.state, c.last_sequence, COUNT(o.id) AS unhandled
      FROM (
        SELECT worker, last_round_at, COALESCE(state, '0') AS state, CAST(COALESCE(state, '0') AS SIGNED) AS handled,
          (SELECT COALESCE(MAX(sequence), 0) FROM outbox) AS last_sequence
        FROM worker_turns WHERE worker LIKE 'events for %'
      ) c LEFT JOIN outbox o ON o.sequence > c.handled AND o.published_at < c.last_round_at - INTERVAL 1 MINUTE
      WHERE o.id IS NOT NULL OR c.handled > c.last_sequence OR c.state NOT REGEXP '^[0-9]{1,15}$'
      GROUP BY c.worker, c.state, c.last_sequence`
}

/** What the stored answers of one procedure must correspond to. */
export interface AnswerRule {
  /** The procedure's path in the contract. */
  readonly procedure: string
  /** An SQL condition on `k`, a row of `idempotency_keys`: true where the answer's effect is missing. */
  readonly isWrong: string
}

/** The id at a JSON path of the answer of `k`, in the form in which tables store ids. */
export const idInAnswer = (path: string): string =>
  `UNHEX(REPLACE(JSON_UNQUOTE(JSON_EXTRACT(k.answer, '${path}')), '-', ''))`

/** Compares the answers that idempotency keys repeat with the effects that they report. */
export const answersCheck = (rules: ReadonlyArray<AnswerRule>): Check => ({
  name: "answers",
  promise: "every answer that an idempotency key repeats has its effect in the books",
  countSql: "SELECT COUNT(*) AS n FROM idempotency_keys",
  problemsSql: `
      SELECT k.procedure_path AS \`procedure\`, ${hex("k.user_id")} AS \`user\`, k.idempotency_key AS \`key\`
      FROM idempotency_keys k
      WHERE JSON_EXTRACT(k.answer, '$.success') IS NOT NULL
        AND (${rules.map((rule) => `(k.procedure_path = '${rule.procedure}' AND ${rule.isWrong})`).join(" OR ")})`
})
