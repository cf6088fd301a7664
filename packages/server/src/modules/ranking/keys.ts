/**
 * The ranking in Redis, a few keys a day (UTC). Scores are units sold, negated: so the order of the set is the order of
 * the ranking, the most sold first and equal ones by SKU, the same as in the database. A Redis that runs out of memory
 * may drop any of the keys, so both sets carry the mark of the rebuild that began them: a day counts as complete only
 * while the mark is in all three.
 */
export const rankingKeys = (prefix: string, day: string) => ({
  /** Sorted set: SKU by units sold, negated; and the mark, above 0. */
  sold: `${prefix}ranking:${day}:sold`,
  /** Set of what was counted: `{orderId}+` once paid, `{orderId}-` once refunded; and the mark. */
  counted: `${prefix}ranking:${day}:counted`,
  /** The mark, when everything that the database knows of the day was counted. */
  complete: `${prefix}ranking:${day}:complete`,
  /** The mark of the rebuild under way: there is one at a time, and one that lost its keys completes nothing. */
  rebuild: `${prefix}ranking:${day}:rebuild`
})

const DAY_MS = 86_400_000

/** `2026-01-31`, in UTC. */
export const dayOf = (time: Date): string => time.toISOString().slice(0, 10)

/** The last days, the oldest first, today included. */
export const lastDays = (nowMs: number, days: number): ReadonlyArray<string> =>
  Array.from({ length: days }, (_, ago) => dayOf(new Date(nowMs - (days - 1 - ago) * DAY_MS)))

export const startOf = (day: string): Date => new Date(`${day}T00:00:00.000Z`)
export const endOf = (day: string): Date => new Date(startOf(day).getTime() + DAY_MS)

/** When the keys of a day may vanish: nobody asks for it any more. */
export const expiryOf = (day: string, days: number): number =>
  Math.floor((endOf(day).getTime() + days * DAY_MS) / 1_000)

/** The tag of all that is kept of the ranking. */
export const RANKING_TAG = "ranking"
