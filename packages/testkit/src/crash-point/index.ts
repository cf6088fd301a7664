import { appendFileSync } from "node:fs"

/** `<step>` or `<step>#<nth>`: the process kills itself when it passes that step for the nth time. */
export const crashAtVariable = "HOLDFAST_CRASH_AT"

/** A file to which the process appends the name of each step, one per line, before it goes on or dies. */
export const crashReportVariable = "HOLDFAST_CRASH_REPORT"

const passings = new Map<string, number>()

/**
 * Marks a step at which a test may crash this process. Programs import it from `@holdfast/testkit/crash-point`, which
 * loads this module and nothing else. In production, where the variables are unset, it reads one environment variable
 * and returns.
 *
 * When `crashAt` asked for this step, the process ends by SIGKILL inside the call: no `finally`, exit handler or flush
 * runs, as in a power failure.
 *
 * @param name the step, such as "afterCommit"; must not contain "#" or a line break
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
