import { expect } from "vitest"

/** The guarantee is 5 s after a process died; a machine that is busy with other tests gets three times that. */
const SOON_MS = 15_000

/** Repeats a request to a process that has died. The answer has to wait for the end of that process's lock lease. */
export const answeredSoon = async <A>(ask: () => Promise<A>): Promise<A> => {
  const askedAtMs = performance.now()
  const answer = await ask()
  const tookMs = Math.round(performance.now() - askedAtMs)
  console.info(`answered ${tookMs} ms after a process died`)
  expect(tookMs).toBeLessThan(SOON_MS)
  return answer
}
