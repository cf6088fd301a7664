import { commerceLocks } from "@holdfast/domain"
import { Effect, Layer, Redacted } from "effect"
import { Cache } from "../cache/Cache.ts"
import { ServerConfig } from "../config/ServerConfig.ts"
import { Database } from "../db/Database.ts"
import { Installation } from "../db/Installation.ts"
import { Transactions } from "../db/transaction.ts"
import { Locks, namedLocks, RedisStore, type TakesAll } from "../locks/index.ts"
import type { makeImplement } from "../rpc/implement.ts"
import { Watching } from "../watch/Watching.ts"
import { StockBoard } from "./catalog/StockBoard.ts"
import { CouponAdmission } from "./coupons/admission.ts"
import { CouponGate } from "./coupons/gate.ts"
import { TicketBoard } from "./coupons/TicketBoard.ts"
import { OrderBoard } from "./orders/OrderBoard.ts"
import { Passwords } from "./register/passwords.ts"
import { Tokens } from "./register/tokens.ts"

/** Every service that a handler may ask for, the marks of the locks among them. */
export type App =
  | Database
  | Installation
  | Transactions
  | RedisStore
  | Cache
  | Locks
  | TakesAll<(typeof commerceLocks)["definitions"]>
  | CouponGate
  | CouponAdmission
  | TicketBoard
  | StockBoard
  | OrderBoard
  | Watching
  | Passwords
  | Tokens
  | ServerConfig

const redisLayer = Layer.unwrap(
  Effect.map(ServerConfig, ({ redisUrl }) => RedisStore.layer({ url: Redacted.value(redisUrl) }))
)

/** While Redis is away the scopes that need a lock take a named one of the database. */
const locksLayer = Layer.unwrap(
  Effect.map(ServerConfig, ({ mysqlUrl }) =>
    Locks.layer(commerceLocks, { namedLocks: namedLocks({ url: mysqlUrl }) })
  )
)

const storesLayer = Layer.mergeAll(
  Layer.mergeAll(Transactions.layer, Installation.layer).pipe(Layer.provideMerge(Database.layer)),
  locksLayer.pipe(Layer.provideMerge(redisLayer))
)

const couponsLayer = CouponAdmission.layer.pipe(Layer.provideMerge(CouponGate.layer))

/** What subscribers of this process watch. */
const boardsLayer = Layer.mergeAll(StockBoard.layer, OrderBoard.layer, TicketBoard.layer).pipe(
  Layer.provideMerge(Watching.layer)
)

/** The services, built of the settings. */
export const appLayer: Layer.Layer<Exclude<App, ServerConfig>, never, ServerConfig> = Layer.mergeAll(
  Layer.mergeAll(couponsLayer, boardsLayer, Cache.layer).pipe(Layer.provideMerge(storesLayer)),
  Passwords.layer,
  Tokens.layer
)

/** Turns a contract's procedure and its handler into a tRPC procedure of this application. */
export type Implement = ReturnType<typeof makeImplement<App>>
