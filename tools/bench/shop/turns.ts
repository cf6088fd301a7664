import { openConnections } from "../connections.ts"
import { colourOf, PRODUCTS, skuOf } from "./goods.ts"
import { closedLoop, type Turn } from "./load.ts"
import type { Person } from "./people.ts"
import { idOf, mutationText, queryText } from "./requests.ts"
import type { Shop } from "./shops.ts"

/** Sends one request and gives the body of its answer. */
export const ask = async (shop: Shop, text: string): Promise<string> => {
  const connections = await openConnections(shop.url, 1)
  try {
    const answer = await connections.send(text)!
    if (answer.status !== 200) throw new Error(`${shop.name} answered ${answer.status}: ${answer.body}`)
    return answer.body
  } finally {
    connections.close()
  }
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Creates a campaign that is open for a day. Gives its id. */
export const openCampaign = async (shop: Shop, quantity: number): Promise<string> => {
  const campaign = {
    name: "Bench",
    discount: { kind: "percent", percent: 10 },
    minimumOrderMinor: 0,
    quantity,
    startsAt: new Date(Date.now() - MINUTE_MS).toISOString(),
    endsAt: new Date(Date.now() + DAY_MS).toISOString(),
    validDays: 7
  }
  return idOf(await ask(shop, mutationText("admin.createCoupon", campaign, shop.admin)))
}

export const issueText = (couponId: string, person: Person): string =>
  mutationText("coupons.issue", { couponId }, person)

/** Somebody, in turn. */
export const personOf = ({ people }: Pick<Shop, "people">, n: number): Person => people[n % people.length]!

const ENOUGH = 1_000_000
const CAMPAIGNS = 4

/** Everybody asks for a coupon that they do not have yet, of a campaign that lasts. */
export const issued = async (shop: Shop): Promise<Turn> => {
  const campaigns: Array<string> = []
  for (let n = 0; n < CAMPAIGNS; n += 1) campaigns.push(await openCampaign(shop, ENOUGH))
  const couponOf = (n: number) => campaigns[Math.floor(n / shop.people.length)]
  return {
    request: (n) => {
      const couponId = couponOf(n)
      return couponId === undefined ? undefined : issueText(couponId, personOf(shop, n))
    },
    expects: [200]
  }
}

/** Everybody but its one holder asks for a coupon of a campaign that is out. */
export const soldOut = async (shop: Shop): Promise<Turn> => {
  const couponId = await openCampaign(shop, 1)
  await ask(shop, issueText(couponId, shop.people[0]!))
  const others = shop.people.slice(1)
  return { request: (n) => issueText(couponId, others[n % others.length]!), expects: [409] }
}

const HOLDERS = 256

/** People who have a coupon ask for it again. */
export const alreadyHas = async (shop: Shop): Promise<Turn> => {
  const couponId = await openCampaign(shop, ENOUGH)
  await answerAll(shop, HOLDERS, { request: (n) => issueText(couponId, personOf(shop, n)), expects: [200] })
  return { request: (n) => issueText(couponId, personOf(shop, n % HOLDERS)), expects: [409] }
}

const BUYERS = 1_000
const buyerOf = (shop: Shop, n: number): Person => personOf(shop, n % BUYERS)

/** Orders of the products that `sku` names. The orders are kept for the payments. */
export const ordersOf = (shop: Shop, sku: (n: number) => string): Turn => ({
  request: (n) => mutationText("orders.create", { lines: [{ sku: sku(n), quantity: 1 }] }, buyerOf(shop, n)),
  expects: [200],
  onAnswer: (n, { body, status }) => {
    if (status !== 200) return
    shop.unpaid.push({ orderId: idOf(body), buyer: buyerOf(shop, n) })
  }
})

export const order = async (shop: Shop): Promise<Turn> => ordersOf(shop, skuOf)

/** Half of the orders want the same product. */
export const hotRow = async (shop: Shop): Promise<Turn> => ordersOf(shop, (n) => skuOf(n % 2 === 0 ? 0 : n))

const MOST_PAYMENTS = 1_500

/** Pays orders, which it creates first unless there are enough. */
export const payment = async (shop: Shop, seconds: number): Promise<Turn> => {
  const needed = Math.ceil(MOST_PAYMENTS * seconds)
  const missing = needed - shop.unpaid.length
  if (missing > 0) await answerAll(shop, missing, await order(shop))
  const orders = shop.unpaid.splice(0, needed)
  return {
    request: (n) => {
      const next = orders[n]
      return next && mutationText("payments.process", { orderId: next.orderId }, next.buyer)
    },
    expects: [200]
  }
}

const reads =
  (request: (shop: Shop, n: number) => string) =>
  async (shop: Shop): Promise<Turn> => ({
    request: (n) => request(shop, n),
    expects: [200]
  })

export const page = reads(() => queryText("products.page", {}))
export const product = reads((_shop, n) => queryText("products.bySku", { sku: skuOf(n % PRODUCTS) }))
export const search = reads((_shop, n) => queryText("products.search", { text: colourOf(n) }))
export const categories = reads(() => queryText("products.categories", {}))
export const topSellers = reads(() => queryText("products.topSellers", {}))
export const balance = reads((shop, n) => queryText("points.balance", {}, buyerOf(shop, n)))

export const campaign = async (shop: Shop): Promise<Turn> => {
  const couponId = await openCampaign(shop, ENOUGH)
  return { request: () => queryText("coupons.byId", { couponId }), expects: [200] }
}

/** A call that does nothing: it is authenticated, parsed and refused before anything is asked of a store. */
export const noop = async (shop: Shop): Promise<Turn> => ({
  request: (n) => issueText("none", personOf(shop, n)),
  expects: [400]
})

const CALLERS = 64
const LONGEST_MS = 120_000

/** Sends a number of requests and fails unless all get the answer that is expected. */
const answerAll = async (shop: Shop, count: number, turn: Turn): Promise<void> => {
  const connections = await openConnections(shop.url, CALLERS)
  try {
    const request = (n: number) => (n < count ? turn.request(n) : undefined)
    const { failures } = await closedLoop(connections, CALLERS, LONGEST_MS, { ...turn, request })
    if (Object.keys(failures).length > 0)
      throw new Error(`${shop.name} answered otherwise than expected: ${JSON.stringify(failures)}`)
  } finally {
    connections.close()
  }
}
