/** `npm run soak -- locks`: books under a fenced lock, through rounds of faults. */
import { soak, type SoakReport } from "../test/soak.ts"

export interface LockSoakOptions {
  readonly rounds: number
  /** Decides the faults and their order. */
  readonly seed: number
  readonly onProgress?: (line: string) => void
}

/** Reports the state of the books; throws when they are wrong. */
export const run = async ({ onProgress = () => {}, rounds, seed }: LockSoakOptions): Promise<SoakReport> => {
  onProgress(`${rounds} rounds, seed ${seed}`)
  const report = await soak({ rounds, seed, onProgress })
  if (report.doubleCommits > 0 || report.overtaken > 0 || report.counted !== report.committed) {
    throw new Error(`the books are wrong: ${JSON.stringify(report)}`)
  }
  return report
}
