import { expect } from "vitest"

/** Promised are 5 s after a process died; a machine that is busy with other tests may take twice that. */
const SOON_MS = 9_000

/**
 * Asks again for what a process that has just died was asked: it left its lock behind, whose lease has to end first.
 * Less than the 10 s that such a lease once was, so that a longer one is noticed.
 */
export const answeredSoon = async <A>(ask: () => Promise<A>): Promise<A> => {
  const askedAtMs = performance.now()
  const answer = await ask()
  const tookMs = Math.round(performance.now() - askedAtMs)
  console.info(`answered ${tookMs} ms after a process died`)
  expect(tookMs).toBeLessThan(SOON_MS)
  return answer
}
