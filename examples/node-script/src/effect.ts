import type { Client } from "@holdfast/client-sdk"
import { Effect } from "effect"

/** The same with Effect: the compiler tracks which errors remain, and here none do. */
export const orderWithEffect = (client: Client, sku: string): Promise<string> =>
  client.effect.orders.create({ lines: [{ sku, quantity: 1 }] }).pipe(
    Effect.map((order) => `order ${order.id} is ${order.status}`),
    Effect.catchTag("OutOfStock", ({ available }) => Effect.succeed(`only ${available} left`)),
    Effect.catchTag("TransportError", ({ idempotencyKey }) =>
      Effect.succeed(`no answer; ask again with the key ${idempotencyKey}`)
    ),
    Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`)),
    Effect.runPromise
  )
