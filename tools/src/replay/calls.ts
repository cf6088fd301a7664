import { type Client, createClient, type Credentials } from "@holdfast/client-sdk"
import { MAXIMUM_GRANT } from "@holdfast/domain"
import { createHash, createHmac } from "node:crypto"
import { definitive, required } from "./answer.ts"
import type { PlannedOrder, PlannedProduct, PlannedReturn, PlannedUser } from "./plan.ts"

/** A running shop, and the name of the replay in it. */
export interface Shop {
  readonly url: string
  readonly admin: Credentials
  /** Every start of the same replay has the same, so that its calls have the same idempotency keys. */
  readonly runId: string
}

/** The clients of a run: one of the administrator and one of each user. */
export interface Clients {
  readonly admin: Client
  readonly of: (user: string) => Client
}

/** What the calls of one run share. */
export interface Session {
  readonly shop: Shop
  readonly clients: Clients
  readonly signal: AbortSignal
}

export type OrderOutcome =
  | { readonly kind: "paid"; readonly orderId: string; readonly amountMinor: number }
  | { readonly kind: "unpaid"; readonly orderId: string; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string }

const MAXIMUM_CONNECTIONS = 64

export const openSession = (shop: Shop, signal: AbortSignal): Session => {
  const clientFor = (auth: Credentials) =>
    createClient({ url: shop.url, auth, maxConnections: MAXIMUM_CONNECTIONS })
  const users = new Map<string, Client>()
  const of = (user: string) => {
    const client = users.get(user) ?? clientFor(credentialsOf(shop, user))
    users.set(user, client)
    return client
  }
  return { shop, signal, clients: { admin: clientFor(shop.admin), of } }
}

/** The account of a user. Its password derives from the administrator's, so that a later run can log in again. */
const credentialsOf = ({ admin, runId }: Shop, user: string): Credentials => ({
  email: `${user}.${runId}@replay.example`,
  password: createHmac("sha256", admin.password).update(`${runId} ${user}`).digest("base64url")
})

/**
 * The options of a mutation. Its idempotency key derives from the run and from the call's place in the file, hashed
 * because keys are short and of visible ASCII, and stock codes may be neither.
 */
const under = ({ shop, signal }: Session, ...place: ReadonlyArray<string | number>) => ({
  signal,
  idempotencyKey: `replay:${shop.runId}:${createHash("sha256").update(place.join("\n")).digest("hex").slice(0, 32)}`
})

export const createProduct = async (
  session: Session,
  { initialStock, name, priceMinor, sku }: PlannedProduct
): Promise<void> => {
  const { admin } = session.clients.admin.safe
  await required(
    `product ${sku}`,
    () => admin.createProduct({ sku, name, priceMinor, initialStock }, under(session, "product", sku)),
    session.signal
  )
}

/** Registers a user and grants the points that its orders cost. */
export const registerUser = async (session: Session, { name, points }: PlannedUser): Promise<void> => {
  const { admin, auth } = session.clients.admin.safe
  const { id: userId } = await required(
    `user ${name}`,
    () => auth.register(credentialsOf(session.shop, name), under(session, "user", name)),
    session.signal
  )
  for (const [index, amount] of grantsOf(points).entries())
    await required(
      `points for ${name}`,
      () => admin.grantPoints({ userId, amount, reason: "replay" }, under(session, "points", name, index)),
      session.signal
    )
}

/** Splits points into grants of at most the maximum of one grant. */
const grantsOf = (points: number): ReadonlyArray<number> => {
  const grants: Array<number> = []
  for (let left = points; left > 0; left -= MAXIMUM_GRANT) grants.push(Math.min(left, MAXIMUM_GRANT))
  return grants
}

/** Places an order and pays it. */
export const placeOrder = async (
  session: Session,
  { invoice, lines, user }: PlannedOrder
): Promise<OrderOutcome> => {
  const { orders, payments } = session.clients.of(user).safe
  const order = await definitive(
    () => orders.create({ lines }, under(session, "order", invoice)),
    session.signal
  )
  if (!order.ok) return { kind: "refused", reason: order.error._tag }
  const { id: orderId } = order.value
  const payment = await definitive(
    () => payments.process({ orderId }, under(session, "payment", invoice)),
    session.signal
  )
  return payment.ok
    ? { kind: "paid", orderId, amountMinor: payment.value.amountMinor }
    : { kind: "unpaid", orderId, reason: payment.error._tag }
}

/** Puts the units of a returned line back into stock. */
export const takeBack = async (
  session: Session,
  { invoice, position, quantity, sku }: PlannedReturn
): Promise<void> => {
  const { admin } = session.clients.admin.safe
  await required(
    `the return of ${sku} on ${invoice}`,
    () =>
      admin.adjustStock(
        { sku, delta: quantity, reason: "return" },
        under(session, "return", invoice, position)
      ),
    session.signal
  )
}
