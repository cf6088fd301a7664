import { randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import type { Services } from "@holdfast/testkit"
import { startPeer } from "../../shop/peer.ts"
import { processesOf } from "../../shop/shops.ts"
import { installed } from "../installed.ts"
import { ask, type PeerShop } from "../shop.ts"

const VERSION = "3.7.3"
const program = fileURLToPath(new URL("./server.mjs", import.meta.url))
const TOKEN = "vendure-auth-token"

/** Vendure on a database of the same server. It needs no Redis. */
export const openVendure = async (services: Services): Promise<PeerShop> => {
  const directory = await installed("vendure", { "@vendure/core": VERSION, mysql2: "3.24.6" })
  const database = `bench_vendure_${process.pid}`
  await services.sql.createDatabase(database)
  const password = randomBytes(12).toString("hex")
  const stores = { mysqlUrl: services.sql.url(database), redisUrl: services.redis.url() }
  const server = await startPeer(program, stores, {
    PEER_DIRECTORY: directory,
    PEER_PASSWORD: password,
    VENDURE_DISABLE_TELEMETRY: "true"
  })
  const admin = await askAs(`${server.url}/admin-api`)(LOGIN, { password })
  const merchant = askAs(`${server.url}/admin-api`, admin.token)
  let products = 0
  return {
    name: "Vendure",
    version: VERSION,
    addProduct: async (stock) => {
      const name = `peer-${(products += 1)}`
      const translations = [{ languageCode: "en", name, slug: name, description: "" }]
      const { data } = await merchant<Created<"createProduct">>(CREATE_PRODUCT, { input: { translations } })
      const variant = {
        productId: data.createProduct.id,
        sku: name,
        price: 100,
        stockOnHand: stock,
        trackInventory: "TRUE",
        translations: [{ languageCode: "en", name }]
      }
      const created = await merchant<Variants>(CREATE_VARIANT, { input: [variant] })
      return created.data.createProductVariants[0]!.id
    },
    customer: async (id, customer) => {
      const shopApi = `${server.url}/shop-api`
      const { token } = await askAs(shopApi)(ADD_TO_CART, { id })
      return async () => {
        const emailAddress = `customer-${customer}-${randomBytes(4).toString("hex")}@bench.test`
        const { data } = await askAs(shopApi, token)<Bought>(BUY, { emailAddress })
        return data.payment.state === "PaymentSettled" ? "sold" : "refused"
      }
    },
    unitsLeft: async (id) => {
      const { data } = await merchant<Stock>(STOCK, { id })
      return data.productVariant.stockLevels.reduce(
        (sum, { stockAllocated, stockOnHand }) => sum + stockOnHand - stockAllocated,
        0
      )
    },
    pids: () => ({ server: [server.pid], sql: processesOf(services.sql), redis: [] }),
    stop: async () => {
      await server.stop()
      await services.sql.dropDatabase(database)
    }
  }
}

type Created<Name extends string> = Readonly<Record<Name, { readonly id: string }>>
interface Variants {
  readonly createProductVariants: ReadonlyArray<{ readonly id: string }>
}
interface Bought {
  /** Of an order; an error has none. */
  readonly payment: { readonly state?: string }
}
interface Stock {
  readonly productVariant: {
    readonly stockLevels: ReadonlyArray<{ readonly stockOnHand: number; readonly stockAllocated: number }>
  }
}

const LOGIN = `mutation ($password: String!) { login(username: "admin", password: $password) { __typename } }`
const CREATE_PRODUCT = `mutation ($input: CreateProductInput!) { createProduct(input: $input) { id } }`
const CREATE_VARIANT = `mutation ($input: [CreateProductVariantInput!]!) { createProductVariants(input: $input) { id } }`
const ADD_TO_CART = `mutation ($id: ID!) { addItemToOrder(productVariantId: $id, quantity: 1) { __typename } }`
/** All that a customer still has to do, in one request. */
const BUY = `mutation ($emailAddress: String!) {
  customer: setCustomerForOrder(input: { emailAddress: $emailAddress, firstName: "A", lastName: "B" }) { __typename }
  address: setOrderShippingAddress(input: { streetLine1: "1 Road", countryCode: "GB" }) { __typename }
  shipping: setOrderShippingMethod(shippingMethodId: ["1"]) { __typename }
  order: transitionOrderToState(state: "ArrangingPayment") { __typename }
  payment: addPaymentToOrder(input: { method: "card", metadata: {} }) { __typename ... on Order { state } }
}`
const STOCK = `query ($id: ID!) { productVariant(id: $id) { stockLevels { stockOnHand stockAllocated } } }`

interface Answered<Data> {
  readonly data: Data
  readonly token: string
}

/** Asks with a session's token. Gives the data, and the token of a session that has just begun. */
const askAs =
  (url: string, token?: string) =>
  async <Data>(query: string, variables: object): Promise<Answered<Data>> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await ask<{ readonly data: Data; readonly errors?: unknown }>(url, {
      body: { query, variables },
      headers
    })
    if (answer.body.errors !== undefined) throw new Error(`Vendure: ${JSON.stringify(answer.body.errors)}`)
    return { data: answer.body.data, token: answer.headers.get(TOKEN) ?? token ?? "" }
  }
