import { createClient, type OrderId, type RetryPolicy } from "@holdfast/client-sdk"
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { startServerProcess } from "../shop/server-process.ts"
import type { DrillFigures } from "./ground.ts"

export type Caller = (turn: number) => Promise<void>

export const CALLERS = 16

/** How many products the callers order: by default all order the same one. */
interface Goods {
  readonly goods?: number
}

const skuOf = (n: number) => `DRILL-${n}`

/** Of which there is less than everybody wants. */
export const LIMITED = "LIMITED"

/** Who stocks up. */
export const ADMIN = { email: "admin@shop.example", password: randomUUID() }

/** Makes the tables, the products that the callers order, and one of which there is a limited number; none has a price. */
export const stockUp = async (
  environment: Readonly<Record<string, string>>,
  { goods = 1, limited = 0 }: Goods & { readonly limited?: number } = {}
): Promise<void> => {
  const server = await startServerProcess({
    environment: {
      ...environment,
      HOLDFAST_ADMIN_EMAIL: ADMIN.email,
      HOLDFAST_ADMIN_PASSWORD: ADMIN.password
    }
  })
  try {
    await makeProducts(server.url, { goods, limited })
  } finally {
    await server.stop()
  }
}

/** Makes the products, as the administrator. */
export const makeProducts = async (
  url: string,
  { goods, limited }: { readonly goods: number; readonly limited: number }
): Promise<void> => {
  const client = createClient({ url, auth: ADMIN })
  const plenty = Array.from({ length: goods }, (_, n) => [skuOf(n), 1_000_000] as const)
  for (const [sku, initialStock] of [...plenty, [LIMITED, limited] as const])
    await client.admin.createProduct({ sku, name: sku, priceMinor: 0, initialStock })
}

/** Each caller has an account with one of the servers, reads, orders, and cancels what it has ordered. */
export const makeCallers = (
  urls: ReadonlyArray<string>,
  { goods = 1, retry = {} }: Goods & { readonly retry?: Partial<RetryPolicy> } = {}
): Promise<ReadonlyArray<Caller>> =>
  Promise.all(
    Array.from({ length: CALLERS }, async (_, n) => {
      const client = await clientOf(urls[n % urls.length]!, `caller-${n}`, retry)
      const sku = skuOf(n % goods)
      let orderId: OrderId | undefined
      return async (turn: number) => {
        if (turn % 3 === 0) return void (await client.products.bySku({ sku }))
        if (orderId === undefined) {
          const order = await client.orders.create({ lines: [{ sku, quantity: 1 }] })
          orderId = order.id
        } else {
          const { id } = await client.orders.cancel({ orderId })
          orderId = id === orderId ? undefined : orderId
        }
      }
    })
  )

const clientOf = async (url: string, name: string, retry: Partial<RetryPolicy>) => {
  const account = { email: `${name}-${randomUUID()}@shop.example`, password: randomUUID() }
  await createClient({ url }).auth.register(account)
  return createClient({ url, auth: account, retry })
}

/** A buyer of the limited product. */
export interface Buyer {
  readonly call: Caller
  /** How many it has won. */
  readonly won: () => number
  /** Buys until there is nothing left. */
  readonly buyRest: () => Promise<void>
}

/** Those who want the limited product. Each buys one now and then, and keeps it. */
export const makeBuyers = (urls: ReadonlyArray<string>): Promise<ReadonlyArray<Buyer>> =>
  Promise.all(
    urls.map(async (url, n): Promise<Buyer> => {
      const client = await clientOf(url, `buyer-${n}`, {})
      let won = 0
      /** Whether there was one left. */
      const buy = async (): Promise<boolean> => {
        try {
          await client.orders.create({ lines: [{ sku: LIMITED, quantity: 1 }] })
          won += 1
          return true
        } catch (error) {
          if (!isOutOfStock(error)) throw error
          return false
        }
      }
      const buyRest = async () => {
        while (await buy());
      }
      return { call: async () => void (await buy()), won: () => won, buyRest }
    })
  )

const BUYER_PAUSE_MS = 100

/** So that the limited product lasts as long as the drill. */
export const paced = (call: Caller) => async (turn: number) => {
  await call(turn)
  await sleep(BUYER_PAUSE_MS)
}

const isOutOfStock = (error: unknown): boolean =>
  (error as { readonly _tag?: unknown } | undefined)?._tag === "OutOfStock"

/** Lets everybody call, without a pause, until it is stopped. */
export const startLoad = (callers: ReadonlyArray<Caller>, note: (line: string) => void) => {
  let [calls, failed, worstMs, holeMs] = [0, 0, 0, 0]
  let lastSuccessAtMs = performance.now()
  const stopping = new AbortController()
  const work = async (call: Caller) => {
    for (let turn = 0; !stopping.signal.aborted; turn += 1) {
      const startedAtMs = performance.now()
      try {
        await call(turn)
        holeMs = Math.max(holeMs, Math.round(performance.now() - lastSuccessAtMs))
        lastSuccessAtMs = performance.now()
      } catch (error) {
        failed += 1
        if (failed <= 5) note(`a call failed: ${String(error)}`)
      }
      calls += 1
      worstMs = Math.max(worstMs, Math.round(performance.now() - startedAtMs))
    }
  }
  const working = callers.map(work)
  const figures = (): DrillFigures => ({ calls, failed, worstMs, holeMs })
  const stop = async () => {
    stopping.abort()
    await Promise.all(working)
    return figures()
  }
  return { figures, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}
