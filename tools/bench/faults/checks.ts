import { setTimeout as sleep } from "node:timers/promises"
import { audit } from "../../src/shop/audit.ts"
import { forEachOf } from "../../src/workers.ts"
import { LIMITED, type Market, type Sale } from "./customers.ts"
import type { Findings } from "./findings.ts"
import { DATABASE, serverNames, type Stage } from "./stage.ts"

/** The checks of an audit that compare Redis with the database. After a fault they need a moment to agree. */
const REDIS_CHECKS: ReadonlySet<string> = new Set(["ranking", "coupon gates"])
const REDIS_RIGHT_WITHIN_MS = 20_000

/** Audits the books. What the database says about itself is right at any moment; Redis has to become right. */
export const checkBooks = async (stage: Stage, findings: Findings): Promise<void> => {
  const untilMs = performance.now() + REDIS_RIGHT_WITHIN_MS
  for (;;) {
    const { checks } = await audit(stage.mysqlUrl, stage.redisUrl)
    const isLate = performance.now() > untilMs
    const wrong = checks.filter(({ ok }) => !ok)
    const certain = wrong.filter(({ name }) => isLate || !REDIS_CHECKS.has(name))
    for (const { name, problems } of certain)
      findings.add("books", `${name}: ${JSON.stringify(problems.slice(0, 3))}`)
    if (wrong.length === certain.length) return
  }
}

const HEALTH_WITHIN_MS = 3_000
const LOOK_EVERY_MS = 250

/**
 * The stores that a server still takes for away at `untilMs`, such as `redis`; none once all are up. Calls may succeed
 * without Redis, so they do not show it.
 */
export const storesAway = async ({ servers }: Stage, untilMs: number): Promise<ReadonlyArray<string>> => {
  for (;;) {
    const health = await Promise.all(serverNames.map((name) => healthOf(servers[name].url)))
    const away = (["database", "redis"] as const).filter((store) => health.some((one) => one[store] !== "up"))
    if (away.length === 0 || performance.now() > untilMs) return away
    await sleep(LOOK_EVERY_MS)
  }
}

const healthOf = async (url: string): Promise<{ readonly database?: string; readonly redis?: string }> => {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(HEALTH_WITHIN_MS) })
    return (await answer.json()) as { readonly database?: string; readonly redis?: string }
  } catch {
    return {}
  }
}

const BUYERS = 4
const DEMAND = LIMITED.coupons + LIMITED.units
const CHARGES = LIMITED.chargesPerDay + 2

/** Asks for more than there is of everything limited, and compares what was given with what there was. */
export const checkExactness = async (stage: Stage, market: Market, findings: Findings): Promise<void> => {
  const { sale } = market
  await forEachOf(market.customers.slice(0, DEMAND), BUYERS, async ({ client }) => {
    await client.safe.coupons.issue({ couponId: sale.couponId })
    await client.safe.orders.create({ lines: [{ sku: sale.name, quantity: 1 }] })
  })
  const { client } = await market.signUp()
  const charges = await Promise.all(
    Array.from({ length: CHARGES }, () => client.safe.points.charge({ amount: 1_000 }))
  )
  const found = { ...(await countsOf(stage, sale)), charged: charges.filter(({ ok }) => ok).length }
  for (const [what, expected] of Object.entries(EXPECTED)) {
    const count = Number(found[what as keyof typeof EXPECTED])
    if (count !== expected) findings.add("exactly N", `${what}: ${count}, must be ${expected}`)
  }
}

const EXPECTED = {
  "coupons counted": LIMITED.coupons,
  "coupons issued": LIMITED.coupons,
  "coupons issued before the start": 0,
  "units left": 0,
  "units ordered": LIMITED.units,
  "orders expired early": 0,
  "users charged too often": 0,
  charged: LIMITED.chargesPerDay
}

const couponsOf = (name: string) =>
  `(SELECT COUNT(*) FROM user_coupons u JOIN coupons c ON c.id = u.coupon_id WHERE c.name = '${name}')`

/** Orders expire after ten minutes; one of this phase that expired was cancelled by a wrong clock. */
const countsOf = async ({ sql }: Stage, { name }: Sale) => {
  const [counts] = await sql(
    `USE \`${DATABASE}\``,
    `SELECT
       (SELECT issued FROM coupons WHERE name = '${name}') AS \`coupons counted\`,
       ${couponsOf(name)} AS \`coupons issued\`,
       ${couponsOf(`${name}-FUTURE`)} AS \`coupons issued before the start\`,
       (SELECT stock FROM products WHERE sku = '${name}') AS \`units left\`,
       (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o ON o.id = i.order_id
         WHERE i.sku = '${name}' AND o.status <> 'CANCELLED') AS \`units ordered\`,
       (SELECT COUNT(*) FROM orders WHERE cancel_reason = 'expired'
         AND created_at > UTC_TIMESTAMP() - INTERVAL 9 MINUTE
         AND created_at > (SELECT created_at FROM products WHERE sku = '${name}')) AS \`orders expired early\`,
       (SELECT COUNT(*) FROM (SELECT user_id FROM point_ledger WHERE kind = 'charge'
         GROUP BY user_id, DATE(created_at) HAVING COUNT(*) > ${LIMITED.chargesPerDay}) often)
         AS \`users charged too often\``
  )
  return counts as Readonly<Record<Exclude<keyof typeof EXPECTED, "charged">, unknown>>
}
