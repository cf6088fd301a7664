import { openConnections } from "../connections.ts"
import { residentMb } from "../processes.ts"
import { slopeOf } from "../statistics.ts"
import { closedLoop, rounded, type Turn } from "./load.ts"
import type { Shop } from "./shops.ts"
import type { Stage } from "./stage.ts"
import { balance, issued, order, page, payment, product, search, topSellers } from "./turns.ts"

const CALLERS = 16
const SAMPLE_EVERY_MS = 500
const MINUTE_MS = 60_000
/** The first part of the load warms the process up. */
const WARM_UP = 0.4

/** The memory of the server under a load of everything, and how it grows after the warm-up. */
export const memory = async ({ holdfast, memoryMinutes, onProgress }: Stage) => {
  const samples: Array<{ readonly x: number; readonly y: number }> = []
  const sample = () => samples.push({ x: performance.now() / MINUTE_MS, y: residentMb(holdfast.serverPid()) })
  const turn = await everything(holdfast)
  const connections = await openConnections(holdfast.url, CALLERS)
  sample()
  const sampling = setInterval(sample, SAMPLE_EVERY_MS)
  const answers = await closedLoop(connections, CALLERS, memoryMinutes * MINUTE_MS, turn)
  clearInterval(sampling)
  connections.close()
  const warm = samples.slice(Math.floor(samples.length * WARM_UP))
  const figures = {
    rssMb: Math.max(...samples.map(({ y }) => y)),
    lastMb: samples.at(-1)!.y,
    slopeMbPerMinute: rounded(slopeOf(warm)),
    minutes: memoryMinutes,
    answers: answers.latenciesMs.length
  }
  onProgress(`memory: ${figures.rssMb} MB, ${figures.slopeMbPerMinute} MB a minute`)
  return figures
}

/** One of each kind after the other. A kind that has nothing left to ask is replaced by reads of products. */
const everything = async (shop: Shop): Promise<Turn> => {
  const products = await product(shop)
  const kinds = [
    await issued(shop),
    await order(shop),
    await payment(shop, 1),
    await page(shop),
    products,
    await search(shop),
    await topSellers(shop),
    await balance(shop)
  ]
  const kindOf = (n: number) => kinds[n % kinds.length]!
  const numberOf = (n: number) => Math.floor(n / kinds.length)
  return {
    request: (n) => kindOf(n).request(numberOf(n)) ?? products.request(n),
    expects: [200],
    onAnswer: (n, answer) => kindOf(n).onAnswer?.(numberOf(n), answer)
  }
}
