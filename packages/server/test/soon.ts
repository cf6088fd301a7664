import { expect } from "vitest"

/** Promised are 5 s after a process died; three times that is left to a machine that is busy with other tests. */
const SOON_MS = 15_000

/** Asks again for what a process that has just died was asked: it left its lock behind, whose lease has to end first. */
export const answeredSoon = async <A>(ask: () => Promise<A>): Promise<A> => {
  const askedAtMs = performance.now()
  const answer = await ask()
  const tookMs = Math.round(performance.now() - askedAtMs)
  console.info(`answered ${tookMs} ms after a process died`)
  expect(tookMs).toBeLessThan(SOON_MS)
  return answer
}
