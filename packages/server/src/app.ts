import { commerceLocks } from "@holdfast/domain"
import { Effect, Layer, Redacted } from "effect"
import { Cache } from "./platform/cache/cache.ts"
import { ServerConfig } from "./config.ts"
import { PlatformConfig } from "./platform/config.ts"
import { Database } from "./platform/db/database.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { Transactions } from "./platform/db/transaction.ts"
import { Locks, namedLocks, RedisStore, type TakesAll } from "@holdfast/locks"
import type { makeImplement } from "./platform/trpc/adapter.ts"
import { LiveQueries } from "./platform/live/live-queries.ts"
import { LiveStock } from "./modules/catalog/stock-live.ts"
import { CouponAdmission } from "./modules/coupons/issuing/admission.ts"
import { CouponGate } from "./modules/coupons/issuing/gate.ts"
import { LiveTickets } from "./modules/coupons/tickets/ticket-live.ts"
import { LiveOrders } from "./modules/orders/order-live.ts"
import { Passwords } from "./modules/auth/passwords.ts"
import { Tokens } from "./modules/auth/tokens.ts"
import "./tables.ts"

/** Every service that a handler may ask for, the marks of the locks among them. */
export type App =
  | Database
  | KeyNamespace
  | Transactions
  | RedisStore
  | Cache
  | Locks
  | TakesAll<(typeof commerceLocks)["definitions"]>
  | CouponGate
  | CouponAdmission
  | LiveTickets
  | LiveStock
  | LiveOrders
  | LiveQueries
  | Passwords
  | Tokens
  | PlatformConfig
  | ServerConfig

const redisLayer = Layer.unwrap(
  Effect.map(PlatformConfig, ({ redisUrl }) => RedisStore.layer({ url: Redacted.value(redisUrl) }))
)

/** While Redis is away the scopes that need a lock take a named one of the database. */
const locksLayer = Layer.unwrap(
  Effect.map(PlatformConfig, ({ mysqlUrl }) =>
    Locks.layer(commerceLocks, { namedLocks: namedLocks({ url: mysqlUrl }) })
  )
)

const storesLayer = Layer.mergeAll(
  Layer.mergeAll(Transactions.layer, KeyNamespace.layer).pipe(Layer.provideMerge(Database.layer)),
  locksLayer.pipe(Layer.provideMerge(redisLayer))
)

const couponsLayer = CouponAdmission.layer.pipe(Layer.provideMerge(CouponGate.layer))

/** What subscribers of this process watch. */
const boardsLayer = Layer.mergeAll(LiveStock.layer, LiveOrders.layer, LiveTickets.layer).pipe(
  Layer.provideMerge(LiveQueries.layer)
)

/** The services, built of the settings. */
export const appLayer: Layer.Layer<
  Exclude<App, PlatformConfig | ServerConfig>,
  never,
  PlatformConfig | ServerConfig
> = Layer.mergeAll(
  Layer.mergeAll(couponsLayer, boardsLayer, Cache.layer).pipe(Layer.provideMerge(storesLayer)),
  Passwords.layer,
  Tokens.layer
)

/** Turns a contract's procedure and its handler into a tRPC procedure of this application. */
export type Implement = ReturnType<typeof makeImplement<App>>
