import { median } from "../statistics.ts"
import { rotated } from "./comparison.ts"
import { measure, rounded } from "./load.ts"
import type { ShopName } from "./shops.ts"
import { beside, type Stage } from "./stage.ts"
import { issued, order, payment } from "./turns.ts"

const TURNS = { order, payment, coupon: issued }
type Kind = keyof typeof TURNS
const KINDS = Object.keys(TURNS) as ReadonlyArray<Kind>
const SHARE = 0.15

/** The median latency of one caller who is alone, in milliseconds. */
export const alone = async ({ onProgress, rounds, seconds, shops }: Stage) => {
  const found = new Map<ShopName, Readonly<Record<Kind, Array<number>>>>(
    shops.map(({ name }) => [name, { order: [], payment: [], coupon: [] }])
  )
  for (let round = 0; round < rounds; round += 1)
    for (const shop of rotated(shops, round))
      for (const kind of KINDS) {
        const turn = await TURNS[kind](shop, seconds * SHARE)
        const { p50Ms } = await measure(shop, turn, 1, seconds * SHARE)
        found.get(shop.name)?.[kind].push(p50Ms)
        onProgress(`alone, round ${round + 1}, ${shop.name}: ${kind} p50 ${p50Ms} ms`)
      }
  const p50Ms = (latencies: Readonly<Record<Kind, ReadonlyArray<number>>>) => ({
    order: rounded(median(latencies.order)),
    payment: rounded(median(latencies.payment)),
    coupon: rounded(median(latencies.coupon))
  })
  return beside(new Map([...found].map(([name, latencies]) => [name, p50Ms(latencies)])))
}
