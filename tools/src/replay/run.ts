import { Effect, Random } from "effect"
import type { Progress } from "../progress.ts"
import { forEachOf } from "../workers.ts"
import {
  type Clients,
  createProduct,
  type OrderOutcome,
  openSession,
  placeOrder,
  registerUser,
  type Shop,
  takeBack
} from "./calls.ts"
import type { Plan, PlannedOrder } from "./plan.ts"

export interface RunOptions {
  readonly workers: number
  readonly seed: number
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** The answers of the server to the orders of a plan. */
export interface Work {
  readonly orders: ReadonlyMap<PlannedOrder, OrderOutcome>
  readonly clients: Clients
  /** The duration of the orders, their payments and the returns. */
  readonly ordersMs: number
}

/** Carries out a plan through the client. Calls that an earlier run completed return their stored answers. */
export const runPlan = async (plan: Plan, shop: Shop, options: RunOptions): Promise<Work> => {
  const { progress, seed, signal, workers } = options
  const session = openSession(shop, signal)
  const orders = new Map<PlannedOrder, OrderOutcome>()
  const each = async <A>(phase: string, items: ReadonlyArray<A>, work: (item: A) => Promise<void>) => {
    progress.phase(phase, items.length)
    await forEachOf(
      shuffled(items, seed),
      workers,
      async (item) => {
        await work(item)
        progress.step()
      },
      signal
    )
  }
  await each("products", plan.products, (product) => createProduct(session, product))
  await each("users", plan.users, (user) => registerUser(session, user))
  const startedAt = performance.now()
  const tasks: ReadonlyArray<() => Promise<void>> = [
    ...plan.orders.map((order) => async () => void orders.set(order, await placeOrder(session, order))),
    ...plan.returns.map((returned) => () => takeBack(session, returned))
  ]
  await each("orders", tasks, (task) => task())
  return { orders, clients: session.clients, ordersMs: performance.now() - startedAt }
}

/** The items in an order that the seed decides. */
export const shuffled = <A>(items: ReadonlyArray<A>, seed: number): ReadonlyArray<A> =>
  Effect.runSync(Random.shuffle(items).pipe(Random.withSeed(seed)))
