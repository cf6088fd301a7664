import { AssertionError } from "node:assert"
import { describeCounts, type Outcome, tagOf } from "./outcome.ts"
import type { RaceResult } from "./race.ts"

/**
 * Asserts that exactly `expected` callers of a race match, and returns their outcomes.
 *
 * @param which a tag (`"CouponSoldOut"`, see `tagOf`) or a predicate on the outcome. Default: the winners.
 * @throws AssertionError of node:assert, which any runner shows; its message counts all outcomes
 */
export const expectExactly = <A>(
  result: RaceResult<A>,
  expected: number,
  which?: string | ((outcome: Outcome<A>) => boolean)
): ReadonlyArray<Outcome<A>> => {
  const matching = select(result, which)
  if (matching.length === expected) return matching
  const what = typeof which === "string" ? `outcomes "${which}"` : which ? "matching outcomes" : "winners"
  throw new AssertionError({
    message:
      `expected exactly ${expected} ${what} of ${result.outcomes.length} callers, got ${matching.length}\n` +
      `  by outcome: ${describeCounts(result.outcomes)}` +
      firstReason(result),
    actual: matching.length,
    expected,
    operator: "expectExactly",
    stackStartFn: expectExactly
  })
}

const select = <A>(
  result: RaceResult<A>,
  which: string | ((outcome: Outcome<A>) => boolean) | undefined
): ReadonlyArray<Outcome<A>> => {
  if (which === undefined) return result.winners
  return result.outcomes.filter(typeof which === "string" ? (outcome) => tagOf(outcome) === which : which)
}

/** The message of the first rejection; the counts do not show it. */
const firstReason = (result: RaceResult<unknown>): string => {
  const first = result.rejected[0]
  if (first === undefined) return ""
  return `\n  first rejection (caller ${first.caller}): ${String(first.reason)}`
}
