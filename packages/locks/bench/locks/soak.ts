/** `npm run soak -- locks`: books under a fenced lock, through any number of rounds of faults. */
import { soak, type SoakReport } from "../../test/soak.ts"

export interface LockSoakOptions {
  /** Default 10,000. */
  readonly rounds?: number
  /** Equal seeds give equal faults in equal order. Default: the time. */
  readonly seed?: number
  readonly onProgress?: (line: string) => void
}

/** Resolves to the report; rejects when the books are not exact. */
export const run = async ({
  onProgress,
  rounds = 10_000,
  seed = Date.now()
}: LockSoakOptions): Promise<SoakReport> => {
  onProgress?.(`${rounds} rounds, seed ${seed}`)
  const report = await soak({ rounds, seed, ...(onProgress === undefined ? {} : { onProgress }) })
  if (report.doubleCommits > 0 || report.overtaken > 0 || report.counted !== report.committed) {
    throw new Error(`the books are not exact: ${JSON.stringify(report)}`)
  }
  return report
}
