import { randomBytes, randomUUID } from "node:crypto"

/** What became of an order: paid, expired unpaid, or paid and cancelled by its buyer. */
type Fate = "paid" | "expired" | "refunded"

/** An order to insert, with everything that its other rows follow from. */
export interface FilledOrder {
  readonly n: number
  /** Ids as 32 hexadecimal digits. */
  readonly id: string
  readonly paymentId: string
  readonly userId: string
  readonly fate: Fate
  readonly at: Date
  readonly items: ReadonlyArray<{ readonly sku: string; readonly quantity: number; readonly price: number }>
  readonly total: number
}

/** Whom and what a shop is filled with. */
export interface Assortment {
  readonly users: ReadonlyArray<string>
  readonly products: ReadonlyArray<{ readonly sku: string; readonly name: string; readonly price: number }>
}

const WORDS = ["Tea", "Mug", "Kettle", "Lantern", "Spoon", "Tray", "Jar", "Basket", "Candle", "Blanket"]
const COLOURS = ["green", "black", "blue", "red", "white", "brass", "grey", "oak"]

/** A UUIDv7 of that time, as hexadecimal digits. */
export const idAt = (atMs: number): string => {
  const random = randomBytes(10)
  random[0] = 0x70 | (random[0]! & 0x0f)
  random[2] = 0x80 | (random[2]! & 0x3f)
  return atMs.toString(16).padStart(12, "0") + random.toString("hex")
}

/** A buyer for every 50 orders, and up to a thousand products under names of this run. */
export const assortmentFor = (orders: number, startMs: number): Assortment => {
  const run = randomUUID().slice(0, 8).toUpperCase()
  return {
    users: Array.from({ length: Math.max(10, Math.ceil(orders / 50)) }, () => idAt(startMs)),
    products: Array.from({ length: Math.min(1_000, Math.max(10, Math.ceil(orders / 100))) }, (_, n) => ({
      sku: `FILL-${run}-${String(n).padStart(4, "0")}`,
      name: `${WORDS[n % WORDS.length]}, ${COLOURS[n % COLOURS.length]}, no. ${n}`,
      price: 100 + ((n * 37) % 9_900)
    }))
  }
}

/** Few of them are asked for often, as in a shop. */
const someOf = <A>(all: ReadonlyArray<A>): A => all[Math.floor(all.length * Math.random() ** 3)]!

/** One order in ten is not paid, and one in fifty of the others is cancelled. */
const fateOf = (n: number): Fate => (n % 10 === 9 ? "expired" : n % 50 === 0 ? "refunded" : "paid")

export const orderOf = ({ products, users }: Assortment, n: number, at: Date): FilledOrder => {
  const chosen = new Set(Array.from({ length: 1 + (n % 3 === 0 ? 2 : 0) }, () => someOf(products)))
  const items = [...chosen].map(({ price, sku }) => ({
    sku,
    price,
    quantity: 1 + Math.floor(Math.random() * 3)
  }))
  return {
    n,
    id: idAt(at.getTime()),
    paymentId: idAt(at.getTime() + 60_000),
    userId: someOf(users),
    fate: fateOf(n),
    at,
    items,
    total: items.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
  }
}

const uuidOf = (hex: string): string =>
  [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")

/** The events of an order, as the server writes them. */
export const eventsOf = (order: FilledOrder): ReadonlyArray<readonly [topic: string, payload: string]> => {
  const [orderId, userId] = [uuidOf(order.id), uuidOf(order.userId)]
  const skus = order.items.map(({ sku }) => sku)
  const created = ["order.created", { orderId, userId, skus }] as const
  const paid = [
    "order.paid",
    { orderId, userId, paymentId: uuidOf(order.paymentId), amountMinor: order.total }
  ] as const
  const reason = order.fate === "expired" ? "expired" : "customer"
  const cancelled = ["order.cancelled", { orderId, userId, reason, skus }] as const
  const refunded = ["order.refunded", { orderId, userId, amountMinor: order.total }] as const
  const all = {
    paid: [created, paid],
    expired: [created, cancelled],
    refunded: [created, paid, cancelled, refunded]
  }
  return all[order.fate].map(([topic, payload]) => [topic, JSON.stringify(payload)] as const)
}
