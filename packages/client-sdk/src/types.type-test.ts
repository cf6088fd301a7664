// Compiled but never run: each line asserts what the client's types guarantee, or that a mistake does not compile.
import {
  type Contract,
  type HoldfastContract,
  type InvalidInput,
  type Order,
  OutOfStock,
  type Procedure,
  type ProcedureKind,
  type RateLimited,
  type ServiceUnavailable,
  type Unauthenticated
} from "@holdfast/domain"
import { Effect, type Stream } from "effect"
import type {
  Client,
  CouponsWatchTicketFailure,
  CouponsWatchTicketOutput,
  OrdersCreateInput,
  OrdersPageFailure,
  PointsBalanceFailure,
  ProductsPageOutput,
  Result
} from "./index.ts"
import {
  isHoldfastError,
  type RemoteDefect,
  type Reported,
  type TransportError,
  type UnknownError
} from "./index.ts"
import type {
  ClientOf,
  EffectMethod,
  Items,
  PromiseMethod,
  SafeMethod,
  SafeSubscriptionMethod,
  StreamMethod,
  SubscriptionMethod
} from "./types.ts"

declare const client: Client

// Identical types, not merely mutually assignable ones, because `any` is assignable to everything.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the compiler compares the two signatures
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

// ---- every procedure has its method in every style
type Method<Api, G, N> = G extends keyof Api ? (N extends keyof Api[G] ? Api[G][N] : never) : never
type Has<Api, G, N, Wanted> = Same<Method<Api, G, N>, Wanted>

type AnsweredOnce = Exclude<ProcedureKind, "subscription">

/** The procedure's method in each style. */
type Wanted<P extends Procedure> =
  P extends Procedure<AnsweredOnce>
    ? [PromiseMethod<P>, SafeMethod<P>, EffectMethod<P>]
    : [SubscriptionMethod<P>, SafeSubscriptionMethod<P>, StreamMethod<P>]

type Missing<C extends Contract, Api extends { readonly safe: unknown; readonly effect: unknown }> = {
  [G in keyof C & string]: {
    [N in keyof C[G] & string]: [
      Has<Api, G, N, Wanted<C[G][N]>[0]>,
      Has<Api["safe"], G, N, Wanted<C[G][N]>[1]>,
      Has<Api["effect"], G, N, Wanted<C[G][N]>[2]>
    ] extends [true, true, true]
      ? never
      : `${G}.${N}`
  }[keyof C[G] & string]
}[keyof C & string]

interface Grown extends Omit<HoldfastContract, "orders"> {
  readonly orders: HoldfastContract["orders"] & {
    readonly planted: HoldfastContract["orders"]["get"]
    readonly watched: HoldfastContract["orders"]["watch"]
  }
}
type GrownContract = { readonly [G in keyof Grown]: { readonly [N in keyof Grown[G]]: Grown[G][N] } }

void (true satisfies Same<Missing<HoldfastContract, Client>, never>)
void (true satisfies Same<Missing<GrownContract, Client>, "orders.planted" | "orders.watched">)
void (true satisfies Same<Missing<GrownContract, ClientOf<GrownContract>>, never>)

// ---- inputs are encoded, outputs are decoded
void (true satisfies Same<Awaited<ReturnType<Client["orders"]["create"]>>, Order>)
void (true satisfies Same<Order["createdAt"], Date>)
void (true satisfies Same<
  OrdersCreateInput["lines"][number],
  { readonly sku: string; readonly quantity: number }
>)
void client.orders.create({ lines: [{ sku: "TEA", quantity: 1 }] })
// @ts-expect-error a quantity is a number
void client.orders.create({ lines: [{ sku: "TEA", quantity: "1" }] })
// @ts-expect-error the input is required
void client.orders.create()

// ---- options: mutations take a key, and options cannot take the place of the input
void client.orders.create({ lines: [] }, { idempotencyKey: "k", signal: AbortSignal.abort(), timeoutMs: 1 })
// @ts-expect-error a query takes no idempotency key
void client.orders.get({ orderId: "x" }, { idempotencyKey: "k" })
void client.auth.me()
void client.auth.me({}, { timeoutMs: 5 })
// @ts-expect-error these are options, not an input
void client.auth.me({ timeoutMs: 5 })
// @ts-expect-error an effect is interrupted instead of taking a signal
void client.effect.auth.me({}, { signal: AbortSignal.abort() })
void client.auth.me({}, { headers: { "accept-language": "de" }, maxAttempts: 1 })
void client.auth.me({}, { onResponse: ({ durationMs, requestId }) => void [durationMs, requestId] })

// ---- errors: exactly the declared ones and the two of the client
type BalanceFailure =
  | Reported<Unauthenticated>
  | Reported<InvalidInput>
  | Reported<RateLimited>
  | Reported<ServiceUnavailable>
  | Reported<TransportError>
  | Reported<RemoteDefect>
  | Reported<UnknownError>
const balance = client.effect.points.balance()
void (true satisfies Same<Effect.Error<typeof balance>, BalanceFailure>)
void (true satisfies Same<PointsBalanceFailure, BalanceFailure>)
const creating = client.effect.orders.create({ lines: [] })
void creating.pipe(
  Effect.catchTag("OutOfStock", (error) => {
    void (true satisfies Same<typeof error.available, number>)
    void (true satisfies Same<typeof error.requestId, string | undefined>)
    return Effect.void
  })
)
// @ts-expect-error `points.balance` does not declare OutOfStock
void balance.pipe(Effect.catchTag("OutOfStock", () => Effect.void))

// ---- results and rejections are discriminated by their tags
const examine = async () => {
  const result = await client.safe.orders.create({ lines: [] })
  if (result.ok) void (true satisfies Same<typeof result.value, Order>)
  else if (result.error._tag === "OutOfStock")
    void (true satisfies Same<typeof result.error.requested, number>)
  try {
    await client.orders.create({ lines: [] })
  } catch (error) {
    if (!isHoldfastError(error) || !(error instanceof OutOfStock)) throw error
    void (true satisfies Same<typeof error.available, number>)
    void (true satisfies Same<typeof error.idempotencyKey, string | undefined>)
  }
}
void examine

// ---- subscriptions are async iterables or streams
const tickets = client.coupons.watchTicket({ ticketId: "x" })
void (true satisfies Same<typeof tickets, AsyncIterable<CouponsWatchTicketOutput>>)
const ticketStream = client.effect.coupons.watchTicket({ ticketId: "x" })
void (true satisfies Same<
  typeof ticketStream,
  Stream.Stream<CouponsWatchTicketOutput, CouponsWatchTicketFailure>
>)
const safeTickets = client.safe.coupons.watchTicket({ ticketId: "x" })
void (true satisfies Same<
  typeof safeTickets,
  AsyncIterable<Result<CouponsWatchTicketOutput, CouponsWatchTicketFailure>>
>)

// ---- only paged procedures have `pages` and `items`
const pages = client.products.pages({ limit: 2 })
void (true satisfies Same<typeof pages, AsyncIterable<ProductsPageOutput>>)
const items = client.orders.items()
void (true satisfies Same<typeof items, Items<Order>>)
void (items satisfies AsyncIterable<Order>)
const streamed = client.effect.orders.items()
void (true satisfies Same<typeof streamed, Stream.Stream<Order, OrdersPageFailure>>)
// @ts-expect-error a balance is not paged
void client.points.pages
