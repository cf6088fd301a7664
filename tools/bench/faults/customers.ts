import type { Client } from "@holdfast/client-sdk"
import { randomUUID } from "node:crypto"

/**
 * Awaits one call of the client and measures it.
 * @param refusals the errors that are right answers here
 * @returns `undefined` for such an error
 */
export type Ask = <A>(call: Promise<A>, ...refusals: ReadonlyArray<string>) => Promise<A | undefined>

/** A user of the shop, with points to spend. */
export interface Customer {
  readonly client: Client
}

/** What one phase of the soak sells in limited numbers. */
export interface Sale {
  /** Names the campaign and is the product's SKU. */
  readonly name: string
  readonly couponId: string
  /** A campaign that starts after the phase. */
  readonly futureCouponId: string
}

/** Makes clients that share the balanced `fetch`. */
export type Connect = (auth?: { readonly email: string; readonly password: string }) => Client

export const LIMITED = { coupons: 5, units: 8, chargesPerDay: 3 } as const
/** Several, so that the orders do not all wait for the row of one product. */
const PLENTIFUL_SKUS = Array.from({ length: 20 }, (_, index) => `PLENTY-${index}`)
const PRICE_MINOR = 100
const POINTS = 1_000_000_000
const MOST_CUSTOMERS = 200
const MINUTE_MS = 60_000

/** Who buys, and what is on sale. */
export class Market {
  readonly admin: Client
  readonly #connect: Connect
  readonly #customers: Array<Customer> = []
  #turn = 0
  #sale: Sale | undefined

  constructor(admin: Client, connect: Connect) {
    this.admin = admin
    this.#connect = connect
  }

  get customers(): ReadonlyArray<Customer> {
    return this.#customers
  }

  get sale(): Sale {
    if (this.#sale === undefined) throw new Error("no sale was opened")
    return this.#sale
  }

  /** The customers in turn. */
  next(): Customer {
    const customer = this.#customers[this.#turn++ % this.#customers.length]
    if (customer === undefined) throw new Error("nobody has signed up")
    return customer
  }

  /** A product that does not sell out. */
  plentifulSku(): string {
    return PLENTIFUL_SKUS[this.#turn % PLENTIFUL_SKUS.length]!
  }

  async signUp(ask: Ask = (call) => call): Promise<Customer> {
    const credentials = { email: `${randomUUID()}@soak.example`, password: "a customer of the soak" }
    const user = await ask(this.#connect().auth.register(credentials))
    await ask(this.admin.admin.grantPoints({ userId: user!.id, amount: POINTS, reason: "soak" }))
    const customer = { client: this.#connect(credentials) }
    await ask(customer.client.auth.me())
    this.#customers.push(customer)
    if (this.#customers.length > MOST_CUSTOMERS) this.#customers.shift()
    return customer
  }

  async openShop(customers: number): Promise<void> {
    for (const sku of PLENTIFUL_SKUS) await this.#createProduct(sku, 1_000_000)
    for (let count = 0; count < customers; count += 1) await this.signUp()
    await this.openSale()
  }

  /** The next phase's sale. Its future campaign starts ten minutes from now. */
  async openSale(): Promise<Sale> {
    const name = `SALE-${randomUUID().slice(0, 8)}`
    const { id: couponId } = await this.#createCampaign(name, -MINUTE_MS)
    const { id: futureCouponId } = await this.#createCampaign(`${name}-FUTURE`, 10 * MINUTE_MS)
    await this.#createProduct(name, LIMITED.units)
    return (this.#sale = { name, couponId, futureCouponId })
  }

  #createProduct(sku: string, initialStock: number) {
    return this.admin.admin.createProduct({ sku, name: sku, priceMinor: PRICE_MINOR, initialStock })
  }

  #createCampaign(name: string, startsInMs: number) {
    const startsAtMs = Date.now() + startsInMs
    return this.admin.admin.createCoupon({
      name,
      discount: { kind: "percent", percent: 10 },
      minimumOrderMinor: 0,
      quantity: LIMITED.coupons,
      startsAt: new Date(startsAtMs).toISOString(),
      endsAt: new Date(startsAtMs + 60 * MINUTE_MS).toISOString(),
      validDays: 7
    })
  }
}
