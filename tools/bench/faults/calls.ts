import type { Client } from "@holdfast/client-sdk"
import { LATEST_ANSWER_MS } from "./deadlines.ts"
import { type Ask, type Market } from "./customers.ts"

type Call = (market: Market, ask: Ask, turn: number) => Promise<unknown>

/** A campaign issued a coupon before its start. */
class IssuedTooEarly extends Error {
  override readonly name = "IssuedTooEarly"
}

const order = (client: Client, sku: string) => client.orders.create({ lines: [{ sku, quantity: 1 }] })

/** An order that the shop has, or an error. It is bought from plenty, so nothing is refused. */
const orderedId = async (market: Market, client: Client, ask: Ask): Promise<string> =>
  (await ask(order(client, market.plentifulSku())))!.id

const reads: ReadonlyArray<(client: Client, market: Market) => Promise<unknown>> = [
  (client) => client.points.balance(),
  (client, { sale }) => client.products.bySku({ sku: sale.name }),
  (client) => client.orders.page({ limit: 5 }),
  (client) => client.products.topSellers({ limit: 5 }),
  (client) => client.coupons.mine({ limit: 5 })
]

/** The first answer of a subscription. */
const first = async <A>(answers: AsyncIterable<A>): Promise<A> => {
  for await (const answer of answers) return answer
  throw new Error("the subscription ended without an answer")
}

/** Every kind of call, by name. */
export const calls: Readonly<Record<string, Call>> = {
  "sign-up": (market, ask) => market.signUp(ask),
  coupons: async (market, ask, turn) => {
    const { client } = market.next()
    const { couponId, futureCouponId } = market.sale
    await ask(client.coupons.issue({ couponId }), "CouponSoldOut", "CouponAlreadyIssued")
    if (turn % 2 === 0) return
    const early = await ask(client.coupons.issue({ couponId: futureCouponId }), "CouponNotStarted")
    if (early !== undefined) throw new IssuedTooEarly("a campaign issued a coupon before its start")
  },
  orders: (market, ask, turn) =>
    ask(order(market.next().client, turn % 3 === 0 ? market.sale.name : market.plentifulSku()), "OutOfStock"),
  payments: async (market, ask) => {
    const { client } = market.next()
    await ask(client.payments.process({ orderId: await orderedId(market, client, ask) }))
  },
  cancellations: async (market, ask, turn) => {
    const { client } = market.next()
    const orderId = await orderedId(market, client, ask)
    if (turn % 2 === 0) await ask(client.payments.process({ orderId }))
    await ask(client.orders.cancel({ orderId }))
  },
  charges: (market, ask) => ask(market.next().client.points.charge({ amount: 1_000 }), "ChargeLimitExceeded"),
  reads: (market, ask, turn) => ask(reads[turn % reads.length]!(market.next().client, market)),
  subscriptions: async (market, ask, turn) => {
    const { client } = market.next()
    // A subscription has no deadline of its own; the first answer has the one of a call.
    const signal = AbortSignal.timeout(LATEST_ANSWER_MS + 1)
    if (turn % 2 === 0) return ask(first(client.products.watchStock({ sku: market.sale.name }, { signal })))
    const orderId = await orderedId(market, client, ask)
    return ask(first(client.orders.watch({ orderId }, { signal })))
  }
}
