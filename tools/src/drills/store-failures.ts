import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { type ServerProcess, startServerProcess } from "../shop/server-process.ts"
import type { DrillFigures, Ground } from "./ground.ts"
import { makeBuyers, makeCallers, paced, startLoad, stockUp } from "./load.ts"

/** Something that happens to a store in the middle of a sale. */
export interface Mishap {
  readonly name: string
  readonly happen: () => Promise<unknown>
}

const SERVERS = 2

/** Of the limited product. */
const LIMITED = 300
const BUYERS = 4

/** How long everybody calls before, between and after the mishaps. */
const PAUSE_MS = 4_000

/**
 * Lets callers order, read and cancel at two servers, and others buy a limited product, while stores fail. Fails when another
 * number of the limited product was won than there is.
 */
export const sellThrough = async (
  { mysqlUrl, note, redisUrl }: Ground,
  mishaps: ReadonlyArray<Mishap>
): Promise<DrillFigures> => {
  const environment = {
    HOLDFAST_MYSQL_URL: mysqlUrl,
    HOLDFAST_REDIS_URL: redisUrl,
    HOLDFAST_SECRET: randomBytes(32).toString("hex"),
    HOLDFAST_LOG_LEVEL: "Error",
    // A buyer keeps what it wins and pays for none of it.
    HOLDFAST_MAX_UNPAID_ORDERS: "1000",
    // The callers share the processor with the servers and the stores: shedding is another drill.
    HOLDFAST_MAX_EVENT_LOOP_DELAY: "10 seconds"
  }
  await stockUp(environment, { limited: LIMITED })
  const servers: Array<ServerProcess> = []
  try {
    for (let n = 0; n < SERVERS; n += 1)
      servers.push(await startServerProcess({ environment, maximumRestarts: 0 }))
    const urls = servers.map(({ url }) => url)
    const buyers = await makeBuyers(Array.from({ length: BUYERS }, (_, n) => urls[n % SERVERS]!))
    await using load = startLoad(
      [...(await makeCallers(urls)), ...buyers.map(({ call }) => paced(call))],
      note
    )
    await sleep(PAUSE_MS)
    for (const { happen, name } of mishaps) {
      note(`${name}, after ${load.figures().calls} calls`)
      await happen()
      await sleep(PAUSE_MS)
    }
    const figures = await load.stop()
    await Promise.all(buyers.map(({ buyRest }) => buyRest()))
    const won = buyers.reduce((sum, buyer) => sum + buyer.won(), 0)
    note(`${won} of ${LIMITED} were won`)
    if (won !== LIMITED)
      throw new Error(`${won} of the limited product were won, of which there are ${LIMITED}`)
    return figures
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}
