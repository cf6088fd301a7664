import { type Mutant, mutantsIn } from "./mutant.ts"
import { fits, makeScratch, type Scratch, type TestRun } from "./scratch.ts"

interface MutantsOptions {
  readonly only: string | undefined
  readonly json: boolean
}

/** `caught`: a test named by the patch failed. `survived`: all of them passed. The others are faults of the patch. */
type Verdict = "caught" | "survived" | "does not apply" | "broken"

interface Judged {
  readonly name: string
  readonly guard: string
  readonly verdict: Verdict
  /** The test that failed, or what is wrong with the patch. */
  readonly by: string
  readonly seconds: number
}

/** Removes one guard after the other. The exit code is 1 when a mutant survives, 2 when one cannot be judged. */
export const run = async ({ json, only }: MutantsOptions): Promise<number> => {
  const all = mutantsIn()
  const names = only?.split(",") ?? all.map(({ name }) => name)
  const unknown = names.find((name) => all.every((mutant) => mutant.name !== name))
  if (unknown !== undefined)
    throw new Error(`there is no mutant ${unknown}; known: ${all.map(({ name }) => name).join(", ")}`)
  const chosen = all.filter(({ name }) => names.includes(name))
  await using scratch = await makeScratch()
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
  // A shared machine may starve a test of its processor.
  const whole = await scratch.test(files, 2)
  if (whole.outcome !== "passed") throw new Error(`with every guard, the tests do not pass: ${byWhom(whole)}`)
  const judged: Array<Judged> = []
  for (const mutant of chosen) {
    const result = await judge(scratch, mutant)
    judged.push(result)
    if (!json) console.log(lineOf(result))
  }
  if (json) console.log(JSON.stringify(judged))
  else
    console.log(`${judged.filter(({ verdict }) => verdict === "caught").length} of ${judged.length} caught`)
  if (judged.some(({ verdict }) => verdict === "does not apply" || verdict === "broken")) return 2
  return judged.some(({ verdict }) => verdict === "survived") ? 1 : 0
}

const judge = async (scratch: Scratch, { guard, name, patch, tests }: Mutant): Promise<Judged> => {
  const beganAt = performance.now()
  const judged = (verdict: Verdict, by: string): Judged => ({
    name,
    guard,
    verdict,
    by,
    seconds: Math.round((performance.now() - beganAt) / 100) / 10
  })
  if (!(await fits(patch))) return judged("does not apply", patch)
  await scratch.apply(patch)
  try {
    const result = await scratch.test(tests, 0)
    return judged(VERDICTS[result.outcome], byWhom(result))
  } finally {
    await scratch.apply(patch, "back")
  }
}

const VERDICTS = { failed: "caught", passed: "survived", broken: "broken" } as const

const byWhom = (result: TestRun): string =>
  result.outcome === "failed" ? result.tests[0]! : result.outcome === "broken" ? result.reason : ""

const lineOf = ({ by, guard, name, seconds, verdict }: Judged): string =>
  `${verdict.padEnd(8)}  ${name} (${seconds} s): ${guard}${by === "" ? "" : `\n          ${by}`}`
