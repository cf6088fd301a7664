import type { RowDataPacket } from "mysql2/promise"
import { openConnections } from "../connections.ts"
import { percentile } from "../statistics.ts"
import { closedLoop, rounded } from "./load.ts"
import { bytesOf } from "./people.ts"
import { withDatabase } from "./seed.ts"
import type { Shop, ShopName } from "./shops.ts"
import { beside, type Stage } from "./stage.ts"
import { issueText, openCampaign, personOf } from "./turns.ts"

const CALLERS = 256
const LONGEST_MS = 300_000

interface BurstFigures {
  readonly asked: number
  readonly coupons: number
  /** How many were told that they have a coupon, and how many of them the database names. */
  readonly issued: number
  readonly inDatabase: number
  readonly decisionsPerSecond: number
  readonly p99Ms: number
  readonly failures: number
}

/** Half of all people ask at once for coupons, of which there are enough for half of the askers. */
export const burst = async ({ onProgress, shops }: Stage) => {
  const figures = new Map<ShopName, BurstFigures>()
  for (const shop of shops) {
    const asked = shop.people.length / 2
    const result = await ofMany(shop, asked, Math.floor(asked / 2), (n) => n)
    onProgress(
      `burst, ${shop.name}: ${result.issued} of ${result.coupons} issued, ${result.decisionsPerSecond}/s, p99 ${result.p99Ms} ms`
    )
    figures.set(shop.name, result)
  }
  return beside(figures)
}

const ASKS_AT_ONCE = 50

/** One user asks many times at once for the same coupon. */
export const sameUser = async ({ shops }: Stage) => {
  const figures = new Map<ShopName, BurstFigures>()
  for (const shop of shops) figures.set(shop.name, await ofMany(shop, ASKS_AT_ONCE, ASKS_AT_ONCE, () => 0))
  return beside(figures)
}

const ofMany = async (
  shop: Shop,
  asked: number,
  coupons: number,
  asker: (n: number) => number
): Promise<BurstFigures> => {
  const couponId = await openCampaign(shop, coupons)
  const winners = new Set<string>()
  let issued = 0
  let refused = 0
  const callers = Math.min(asked, CALLERS)
  const connections = await openConnections(shop.url, callers)
  try {
    const { elapsedMs, ...answers } = await closedLoop(connections, callers, LONGEST_MS, {
      request: (n) => (n < asked ? issueText(couponId, personOf(shop, asker(n))) : undefined),
      expects: [200, 409],
      onAnswer: (n, { status }) => {
        if (status === 409) refused += 1
        if (status !== 200) return
        issued += 1
        winners.add(personOf(shop, asker(n)).id)
      }
    })
    return {
      asked,
      coupons,
      issued,
      inDatabase: await countHolders(shop, couponId, winners),
      decisionsPerSecond: Math.round(((issued + refused) / elapsedMs) * 1_000),
      p99Ms: rounded(percentile(answers.latenciesMs, 0.99)),
      failures: asked - issued - refused
    }
  } finally {
    connections.close()
  }
}

/** How many of the winners have a coupon of the campaign in the database. */
const countHolders = ({ mysqlUrl, name }: Shop, couponId: string, winners: ReadonlySet<string>) =>
  withDatabase(mysqlUrl, async (connection) => {
    const id = name === "naive" ? couponId : bytesOf(couponId)
    const [rows] = await connection.query<Array<RowDataPacket>>(
      "SELECT user_id FROM user_coupons WHERE coupon_id = ?",
      [id]
    )
    const known = new Set([...winners].map((winner) => winner.replaceAll("-", "")))
    return rows.filter(({ user_id: user }) => known.has(textOf(user as string | Buffer))).length
  })

const textOf = (id: string | Buffer): string =>
  typeof id === "string" ? id.replaceAll("-", "") : id.toString("hex")
