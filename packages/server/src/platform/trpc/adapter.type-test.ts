// Compiled, never run: what a handler may fail with and answer is what its contract declares, nothing else.
import { contract, type Order, OrderNotFound, OutOfStock, ServiceUnavailable } from "@holdfast/domain"
import { Context, Effect, Stream } from "effect"
import type { makeImplement } from "./adapter.ts"

declare const implement: ReturnType<typeof makeImplement<never>>
declare const order: Order

class Missing extends Context.Service<Missing, object>()("Missing") {}
const missing = new OrderNotFound({ orderId: "x" })
const soldOut = new OutOfStock({ sku: "x", requested: 1, available: 0 })

// ---- a query: its own errors, and those of every procedure
void implement(contract.orders.get, () => Effect.succeed(order))
void implement(contract.orders.get, () => Effect.fail(missing))
void implement(contract.orders.get, () => Effect.fail(new ServiceUnavailable({ retryAfterMs: 1 })))
// @ts-expect-error the contract does not say that getting an order may find a product sold out
void implement(contract.orders.get, () => Effect.fail(soldOut))
// @ts-expect-error neither beside an error that it declares
void implement(contract.orders.get, () => Effect.andThen(Effect.fail(missing), Effect.fail(soldOut)))
// @ts-expect-error nor something that is no error of the domain at all
void implement(contract.orders.get, () => Effect.fail("oops"))
// @ts-expect-error an answer is the contract's, too
void implement(contract.orders.get, () => Effect.succeed({ ...order, totalMinor: "900" }))
// @ts-expect-error what a handler needs has to be there
void implement(contract.orders.get, () => Effect.as(Effect.service(Missing), order))

// ---- a mutation and a subscription
void implement(contract.orders.create, () => Effect.fail(soldOut))
void implement(contract.orders.watch, () => Stream.fail(missing))
// @ts-expect-error watching an order cannot find a product sold out
void implement(contract.orders.watch, () => Stream.fail(soldOut))
// @ts-expect-error a subscription's answers have ids to go on from
void implement(contract.orders.watch, () => Stream.succeed(order))

// ---- who calls is known exactly where the contract asks for it
void implement(contract.orders.get, ({ caller }) => Effect.die(caller.userId))
// @ts-expect-error anybody may look at a product
void implement(contract.products.bySku, ({ caller }) => Effect.die(caller.userId))
