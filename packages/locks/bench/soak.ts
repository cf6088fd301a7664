/** `npm run soak -- locks`: the books under a fenced lock, through as many rounds of faults as one likes. */
import { soak, type SoakReport } from "../test/soak.ts"

export interface LockSoakOptions {
  /** Default 10,000. */
  readonly rounds?: number
  /** The same seed strikes with the same faults in the same order. Default: by the clock. */
  readonly seed?: number
  readonly onProgress?: (line: string) => void
}

/** Gives what was found; throws when the books are off. */
export const run = async ({
  onProgress,
  rounds = 10_000,
  seed = Date.now()
}: LockSoakOptions): Promise<SoakReport> => {
  onProgress?.(`${rounds} rounds, seed ${seed}`)
  const report = await soak({ rounds, seed, ...(onProgress === undefined ? {} : { onProgress }) })
  if (report.doubleCommits > 0 || report.overtaken > 0 || report.counted !== report.committed) {
    throw new Error(`the books are off: ${JSON.stringify(report)}`)
  }
  return report
}
