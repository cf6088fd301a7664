import type { Coupon, CouponId } from "@holdfast/domain"

/** How long a campaign counts as in use after this process was asked for its coupon, or another one issued it. */
export const IN_USE_MS = 10_000

interface Seen {
  readonly issued: number
  readonly changedAtMs: number
  readonly lastTurn: number
}

type Campaign = Pick<Coupon, "id" | "issued">

/**
 * Whose turn it is: the campaigns that are in use here or elsewhere, and the one of the others that has waited longest.
 * A reservation of a process that died is thus found by whichever process is asked for the same coupon; while nobody
 * asks, its slot is of no use to anybody. A campaign is due once when it is first seen, so the first turn has all.
 */
export const makeRota = (nowMs: () => number = () => performance.now()) => {
  let seen = new Map<CouponId, Seen>()
  let turn = 0
  return <C extends Campaign>(running: ReadonlyArray<C>, asked: ReadonlySet<CouponId>): ReadonlyArray<C> => {
    turn += 1
    const before = seen
    seen = new Map()
    const due: Array<C> = []
    let longest: { readonly campaign: C; readonly lastTurn: number } | undefined
    for (const campaign of running) {
      const { id, issued } = campaign
      const last = before.get(id)
      const changedAtMs = last === undefined ? -Infinity : last.issued === issued ? last.changedAtMs : nowMs()
      const isDue = last === undefined || asked.has(id) || nowMs() - changedAtMs < IN_USE_MS
      const lastTurn = isDue ? turn : last.lastTurn
      seen.set(id, { issued, changedAtMs, lastTurn })
      if (isDue) due.push(campaign)
      else if (longest === undefined || lastTurn < longest.lastTurn) longest = { campaign, lastTurn }
    }
    if (longest === undefined) return due
    const { campaign } = longest
    seen.set(campaign.id, { ...seen.get(campaign.id)!, lastTurn: turn })
    return [...due, campaign]
  }
}
