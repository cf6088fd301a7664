import { type Client, createClient, type Credentials } from "@holdfast/client-sdk"
import { MAXIMUM_GRANT } from "@holdfast/domain"
import { Effect, Random } from "effect"
import { createHash, createHmac } from "node:crypto"
import type { Progress } from "../progress.ts"
import { forEachOf } from "../workers.ts"
import { definitive, required } from "./answer.ts"
import type { Plan, PlannedOrder, PlannedProduct, PlannedReturn, PlannedUser } from "./plan.ts"

/** A running shop, and the name of the replay in it. */
export interface Shop {
  readonly url: string
  readonly admin: Credentials
  /** Every start of the same replay has the same, so that its calls have the same idempotency keys. */
  readonly runId: string
}

export interface RunOptions {
  readonly workers: number
  readonly seed: number
  readonly signal: AbortSignal
  readonly progress: Progress
}

export type OrderOutcome =
  | { readonly kind: "paid"; readonly orderId: string; readonly amountMinor: number }
  | { readonly kind: "unpaid"; readonly orderId: string; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string }

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
  const calls = makeCalls(shop, signal)
  const orders = new Map<PlannedOrder, OrderOutcome>()
  const each = async <A>(phase: string, items: ReadonlyArray<A>, work: (item: A) => Promise<void>) => {
    progress.phase(phase, items.length)
    await forEachOf(
      items,
      workers,
      async (item) => {
        await work(item)
        progress.step()
      },
      signal
    )
  }
  await each("products", shuffled(plan.products, seed), calls.createProduct)
  await each("users", shuffled(plan.users, seed), calls.registerUser)
  const startedAt = performance.now()
  const tasks: ReadonlyArray<() => Promise<void>> = [
    ...plan.orders.map((order) => async () => void orders.set(order, await calls.placeOrder(order))),
    ...plan.returns.map((returned) => () => calls.takeBack(returned))
  ]
  await each("orders", shuffled(tasks, seed), (task) => task())
  return { orders, clients: calls.clients, ordersMs: performance.now() - startedAt }
}

/** The items in an order that the seed decides. */
export const shuffled = <A>(items: ReadonlyArray<A>, seed: number): ReadonlyArray<A> =>
  Effect.runSync(Random.shuffle(items).pipe(Random.withSeed(seed)))

/** The clients of a run: one of the administrator and one of each user. */
export interface Clients {
  readonly admin: Client
  readonly of: (user: string) => Client
}

/** The account of a user. Its password derives from the administrator's, so that a later run can log in again. */
const credentialsOf = ({ admin, runId }: Shop, user: string): Credentials => ({
  email: `${user}.${runId}@replay.example`,
  password: createHmac("sha256", admin.password).update(`${runId} ${user}`).digest("base64url")
})

const makeClients = (shop: Shop, options: { readonly maxConnections: number }): Clients => {
  const clientFor = (auth: Credentials) => createClient({ url: shop.url, auth, ...options })
  const users = new Map<string, Client>()
  return {
    admin: clientFor(shop.admin),
    of: (user) => {
      const client = users.get(user) ?? clientFor(credentialsOf(shop, user))
      users.set(user, client)
      return client
    }
  }
}

/** The mutations of the replay. A call's idempotency key derives from the run and the call's place in the file. */
const makeCalls = (shop: Shop, signal: AbortSignal) => {
  const clients = makeClients(shop, { maxConnections: 64 })
  const { admin } = clients
  // The key is a hash because keys are short and of visible ASCII, and stock codes may be neither.
  const under = (...what: ReadonlyArray<string | number>) => ({
    signal,
    idempotencyKey: `replay:${shop.runId}:${createHash("sha256").update(what.join("\n")).digest("hex").slice(0, 32)}`
  })

  const createProduct = async ({ initialStock, name, priceMinor, sku }: PlannedProduct): Promise<void> => {
    await required(
      `product ${sku}`,
      () => admin.safe.admin.createProduct({ sku, name, priceMinor, initialStock }, under("product", sku)),
      signal
    )
  }

  const registerUser = async ({ name, points }: PlannedUser): Promise<void> => {
    const { email, password } = credentialsOf(shop, name)
    const user = await required(
      `user ${name}`,
      () => admin.safe.auth.register({ email, password }, under("user", name)),
      signal
    )
    for (const [index, amount] of grantsOf(points).entries())
      await required(
        `points for ${name}`,
        () =>
          admin.safe.admin.grantPoints(
            { userId: user.id, amount, reason: "replay" },
            under("points", name, index)
          ),
        signal
      )
  }

  const placeOrder = async ({ invoice, lines, user }: PlannedOrder): Promise<OrderOutcome> => {
    const client = clients.of(user)
    const order = await definitive(
      () => client.safe.orders.create({ lines }, under("order", invoice)),
      signal
    )
    if (!order.ok) return { kind: "refused", reason: order.error._tag }
    const { id: orderId } = order.value
    const payment = await definitive(
      () => client.safe.payments.process({ orderId }, under("payment", invoice)),
      signal
    )
    return payment.ok
      ? { kind: "paid", orderId, amountMinor: payment.value.amountMinor }
      : { kind: "unpaid", orderId, reason: payment.error._tag }
  }

  const takeBack = async ({ invoice, position, quantity, sku }: PlannedReturn): Promise<void> => {
    await required(
      `the return of ${sku} on ${invoice}`,
      () =>
        admin.safe.admin.adjustStock(
          { sku, delta: quantity, reason: "return" },
          under("return", invoice, position)
        ),
      signal
    )
  }
  return { clients, createProduct, registerUser, placeOrder, takeBack }
}

/** Splits points into grants of at most the maximum of one grant. */
const grantsOf = (points: number): ReadonlyArray<number> => {
  const grants: Array<number> = []
  for (let left = points; left > 0; left -= MAXIMUM_GRANT) grants.push(Math.min(left, MAXIMUM_GRANT))
  return grants
}
