/** What is wrong: the rows or keys concerned, with the numbers that do not fit. */
type Problem = Readonly<Record<string, unknown>>

/** The result of one check. */
export interface CheckReport {
  readonly name: string
  /** The sentence that holds when there are no problems. */
  readonly promise: string
  readonly ok: boolean
  /** How many things were looked at. */
  readonly checked: number
  /** How many of them are wrong. */
  readonly problemCount: number
  /** The first of the problems. */
  readonly problems: ReadonlyArray<Problem>
}

/** The result of an audit: `ok` when no check found a problem. */
export interface VerifyReport {
  readonly ok: boolean
  readonly checks: ReadonlyArray<CheckReport>
}

/** How many problems of one check are reported in full; `problemCount` counts all of them. */
const SHOWN_PROBLEMS = 20

/** What a check found: how many things it looked at, and what is wrong. */
export interface Findings {
  readonly checked: number
  readonly problems: ReadonlyArray<Problem>
}

export const reportOf = (
  { name, promise }: { readonly name: string; readonly promise: string },
  { checked, problems }: Findings
): CheckReport => ({
  name,
  promise,
  ok: problems.length === 0,
  checked,
  problemCount: problems.length,
  problems: problems.slice(0, SHOWN_PROBLEMS)
})

/** The report for people: one line a check, followed by its problems. */
export const verifyText = (report: VerifyReport): string =>
  [...report.checks.flatMap(checkLines), report.ok ? "The books are right." : "The books are WRONG."].join(
    "\n"
  )

const checkLines = (check: CheckReport): ReadonlyArray<string> => [
  `${check.ok ? "ok  " : "BAD "} ${check.name.padEnd(14)} ${String(check.checked).padStart(8)} checked  ${check.promise}`,
  ...check.problems.map((problem) => `       ${JSON.stringify(problem)}`),
  ...(check.problemCount > check.problems.length
    ? [`       and ${check.problemCount - check.problems.length} more`]
    : [])
]
