import { setTimeout as sleep } from "node:timers/promises"
import { openConnections } from "../connections.ts"
import { PRODUCTS, skuOf } from "./goods.ts"
import { closedLoop, measure } from "./load.ts"
import { withDatabase } from "./seed.ts"
import type { Stage } from "./stage.ts"
import { ordersOf } from "./turns.ts"

const LONGEST_SECONDS = 7
const WAITING_CALLERS = 4
const OTHER_CALLERS = 60
const UNTIL_THEY_WAIT_MS = 300

/** The latency of orders while others wait for a product that somebody outside of the shop holds. */
export const headOfLine = async ({ holdfast, onProgress, seconds }: Stage) => {
  const heldSeconds = Math.min(LONGEST_SECONDS, seconds * 2)
  return withDatabase(holdfast.mysqlUrl, async (connection) => {
    const connections = await openConnections(holdfast.url, WAITING_CALLERS)
    await connection.beginTransaction()
    await connection.query("SELECT stock FROM products WHERE sku = ? FOR UPDATE", [skuOf(0)])
    const ofHeld = ordersOf(holdfast, () => skuOf(0))
    const waiting = closedLoop(connections, WAITING_CALLERS, heldSeconds * 1_000, ofHeld)
    await sleep(UNTIL_THEY_WAIT_MS)
    const ofOthers = ordersOf(holdfast, (n) => skuOf(1 + (n % (PRODUCTS - 1))))
    const { failures, p50Ms, p99Ms, perSecond } = await measure(
      holdfast,
      ofOthers,
      OTHER_CALLERS,
      heldSeconds
    )
    await connection.commit()
    await waiting
    connections.close()
    onProgress(`headOfLine: p50 ${p50Ms} ms, p99 ${p99Ms} ms`)
    return { p99Ms, p50Ms, perSecond, failures, heldSeconds }
  })
}
