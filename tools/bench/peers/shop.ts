import type { Part } from "../shop/shops.ts"

/** How a purchase ended: `sold` when the shop says that it is paid. */
type Purchase = "sold" | "refused"

/** A shop of another make, or Holdfast, as a customer and a merchant see it over HTTP. */
export interface PeerShop {
  readonly name: string
  readonly version: string
  /** Puts a product on sale. Gives its id. */
  readonly addProduct: (stock: number) => Promise<string>
  /**
   * A customer who has one unit in the cart, as far as the shop has carts, and now buys it: order, address, payment.
   * @param customer counts from 0
   */
  readonly customer: (product: string, customer: number) => Promise<() => Promise<Purchase>>
  /** The units that the shop believes it can still sell. */
  readonly unitsLeft: (product: string) => Promise<number>
  /** The processes whose work counts. */
  readonly pids: () => Readonly<Record<Part, ReadonlyArray<number>>>
  readonly stop: () => Promise<void>
}

interface Sent {
  /** JSON to post; without it the request is a GET. */
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** What a server answered with JSON. */
export interface Received<Body> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

/** Asks a server for JSON. All shops are asked in this way. */
export const ask = async <Body>(url: string, { body, headers }: Sent): Promise<Received<Body>> => {
  const response = await fetch(url, {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    headers: { "content-type": "application/json", ...headers }
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Body
  }
}
