import { appendFileSync } from "node:fs"

/**
 * The protocol between `crashAt` and a process under test:
 * - `HOLDFAST_CRASH_AT` is `<step>` or `<step>#<nth>`: the process kills itself at the nth passing of that step;
 * - `HOLDFAST_CRASH_REPORT` is a file to which each step is appended, a line each, before the process goes on or dies.
 */
export const crashAtVariable = "HOLDFAST_CRASH_AT"
export const crashReportVariable = "HOLDFAST_CRASH_REPORT"

const passings = new Map<string, number>()

/**
 * Marks a step at which a test may crash this process. Programs import it from `@holdfast/testkit/crash-point`, which
 * loads this module and nothing else. Costs one look at the environment and does nothing more in production, where the
 * variables are unset. When the step is the one asked for, the process ends by SIGKILL inside
 * this call: no `finally`, no exit handler and no flush runs, as when the machine dies.
 *
 * @param name the step's name, such as "afterCommit"; must not contain "#" or a line break.
 *
 * @example
 * import { crashPoint } from "@holdfast/testkit/crash-point"
 * await connection.commit()
 * crashPoint("afterCommit")
 */
export const crashPoint = (name: string): void => {
  const target = process.env[crashAtVariable]
  if (target === undefined || target === "") return
  const passing = (passings.get(name) ?? 0) + 1
  passings.set(name, passing)
  const report = process.env[crashReportVariable]
  if (report !== undefined) appendFileSync(report, `${name}\n`)
  const [step, nth = "1"] = target.split("#")
  if (step === name && Number(nth) === passing) process.kill(process.pid, "SIGKILL")
}
