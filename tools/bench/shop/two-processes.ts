import { median } from "../statistics.ts"
import { ratioOf } from "./comparison.ts"
import { measure, type Turn } from "./load.ts"
import { type Shop, startHoldfast } from "./shops.ts"
import type { Stage } from "./stage.ts"
import { order, page } from "./turns.ts"

const CALLERS = 64
const SHARE = 0.5

type MakeTurn = (shop: Shop) => Promise<Turn>

/** Runs `use` with a second Holdfast process on the same stores. */
export const withSecondProcess = async <A>(holdfast: Shop, use: (second: Shop) => Promise<A>): Promise<A> => {
  const server = await startHoldfast(holdfast)
  try {
    return await use({ ...holdfast, url: server.url, serverPid: server.pid })
  } finally {
    await server.stop()
  }
}

/** The rate of two processes that share the callers, divided by the rate of one that has them all. */
export const twoProcesses = ({ holdfast, onProgress, rounds, seconds }: Stage) =>
  withSecondProcess(holdfast, async (second) => {
    const rateOf = async (shops: ReadonlyArray<Shop>, turn: MakeTurn) => {
      const figures = await Promise.all(
        shops.map(async (shop) => measure(shop, await turn(shop), CALLERS / shops.length, seconds * SHARE))
      )
      return figures.reduce((sum, { perSecond }) => sum + perSecond, 0)
    }
    const compared = async (what: string, turn: MakeTurn) => {
      const rates = { one: [] as Array<number>, two: [] as Array<number> }
      await rateOf([second], turn)
      for (let round = 0; round < rounds; round += 1) {
        rates.one.push(await rateOf([holdfast], turn))
        rates.two.push(await rateOf([holdfast, second], turn))
      }
      const [one, two] = [median(rates.one), median(rates.two)]
      onProgress(`twoProcesses: ${what} ${two}/s, with one process ${one}/s`)
      return { ratio: ratioOf(two, one), one, two }
    }
    const writes = await compared("writes", order)
    const reads = await compared("reads", page)
    return {
      writes: writes.ratio,
      reads: reads.ratio,
      perSecond: {
        writes: { one: writes.one, two: writes.two },
        reads: { one: reads.one, two: reads.two }
      }
    }
  })
