import type { CheckReport, VerifyReport } from "../../verify.ts"

/** The report as people read it: a line a check, and what is wrong beneath. */
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
