import { commerceLocks, type HoldfastContract } from "@holdfast/domain"
import { Locks, namedLocks, RedisStore, type TakesAll } from "@holdfast/locks"
import { Effect, Layer, Redacted } from "effect"
import { ServerConfig } from "./config.ts"
import { LoginAttempts } from "./modules/auth/login-attempts.ts"
import { Passwords } from "./modules/auth/passwords.ts"
import { changePassword, me, register } from "./modules/auth/service.ts"
import { OpenSessions } from "./modules/auth/sessions/open-sessions.ts"
import { login, logout, refresh, revokeSession, sessionPage } from "./modules/auth/sessions/service.ts"
import { Tokens } from "./modules/auth/tokens.ts"
import { LiveStock } from "./modules/catalog/live-stock.ts"
import { adjustStock, createProduct } from "./modules/catalog/manage-products.ts"
import {
  categories,
  productBySku,
  productPage,
  searchProducts,
  watchStock
} from "./modules/catalog/service.ts"
import { couponById, couponPage } from "./modules/coupons/campaigns/cached.ts"
import {
  couponCounts,
  createCoupon,
  pauseCoupon,
  raiseCouponQuantity,
  resumeCoupon
} from "./modules/coupons/campaigns/service.ts"
import { CouponAdmission } from "./modules/coupons/issuing/admission.ts"
import { CouponGate } from "./modules/coupons/issuing/gate.ts"
import { issueCoupon } from "./modules/coupons/issuing/issue-coupon.ts"
import { myCoupons } from "./modules/coupons/service.ts"
import { LiveTickets } from "./modules/coupons/tickets/live-tickets.ts"
import { requestIssue, ticket, watchTicket } from "./modules/coupons/tickets/service.ts"
import { cancelOrder } from "./modules/orders/cancel-order.ts"
import { createOrder } from "./modules/orders/create-order.ts"
import { LiveOrders } from "./modules/orders/live-orders.ts"
import { getOrder, orderPage, watchOrder } from "./modules/orders/service.ts"
import { getPayment, processPayment } from "./modules/payments/service.ts"
import { Balances } from "./modules/points/balances.ts"
import { balance, charge, grant, history } from "./modules/points/service.ts"
import { topSellers } from "./modules/ranking/service.ts"
import { deadLetters, retryDelivery } from "./modules/webhooks/service.ts"
import { auditTrail } from "./platform/audit-trail/pages.ts"
import { Cache } from "./platform/cache/cache.ts"
import { Groups } from "./platform/command/groups.ts"
import { PlatformConfig } from "./platform/config.ts"
import { Database } from "./platform/db/database.ts"
import { DatabaseClock } from "./platform/db/database-clock.ts"
import { DatabaseReadiness } from "./platform/db/readiness.ts"
import { Epochs } from "./platform/db/epochs.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { Transactions } from "./platform/db/transaction.ts"
import { jobNoticesLayer } from "./platform/jobs/notices.ts"
import { originsLayer } from "./platform/outbox/origins.ts"
import { RateLimits } from "./platform/rates/rate-limits.ts"
import { LiveQueries } from "./platform/live/live-queries.ts"
import type { RouterOf } from "./platform/trpc/adapter.ts"
import type { Handlers } from "./platform/trpc/handler.ts"
import "./tables.ts"

/** Every service that a handler may require, the lock types among them. */
export type App =
  | Database
  | DatabaseClock
  | DatabaseReadiness
  | KeyNamespace
  | Epochs
  | Transactions
  | Groups
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
  | RateLimits
  | LoginAttempts
  | Tokens
  | OpenSessions
  | Balances
  | PlatformConfig
  | ServerConfig

const redisLayer = Layer.unwrap(
  Effect.map(PlatformConfig, ({ redisUrl }) =>
    RedisStore.layer({ url: Redacted.value(redisUrl) }, { pipelining: true })
  )
)

/** While Redis is away, scopes that need a lock take a named lock of the database. */
const locksLayer = Layer.unwrap(
  Effect.gen(function* () {
    const { mysqlUrl } = yield* PlatformConfig
    const { isUp } = yield* Database
    return Locks.layer(commerceLocks, { namedLocks: namedLocks({ url: mysqlUrl, isUp }) })
  })
)

const storesLayer = Layer.mergeAll(
  Epochs.layer.pipe(Layer.provideMerge(Layer.merge(Transactions.layer, KeyNamespace.layer))),
  DatabaseClock.layer,
  DatabaseReadiness.layer,
  locksLayer
).pipe(Layer.provideMerge(Layer.mergeAll(Database.layer, redisLayer)))

const couponsLayer = CouponAdmission.layer.pipe(Layer.provideMerge(CouponGate.layer))

/** What this process's subscribers watch. */
const liveLayer = Layer.mergeAll(LiveStock.layer, LiveOrders.layer, LiveTickets.layer).pipe(
  Layer.provideMerge(LiveQueries.layer)
)

const limitsLayer = LoginAttempts.layer.pipe(Layer.provideMerge(RateLimits.layer))

/** The services, built from the settings. */
export const appLayer: Layer.Layer<
  Exclude<App, PlatformConfig | ServerConfig>,
  never,
  PlatformConfig | ServerConfig
> = Layer.mergeAll(
  Layer.mergeAll(
    couponsLayer,
    liveLayer,
    Cache.layer,
    Tokens.layer,
    OpenSessions.layer,
    Balances.layer,
    limitsLayer
  ).pipe(Layer.provideMerge(storesLayer)),
  Passwords.layer,
  Groups.layer
).pipe(Layer.provideMerge(Layer.mergeAll(jobNoticesLayer, originsLayer)))

/** A handler for each procedure of the contract. A procedure without one does not compile. */
export const handlers = {
  auth: { register, login, refresh, me, logout, sessions: sessionPage, revokeSession, changePassword },
  points: { balance, charge, history },
  products: {
    bySku: productBySku,
    page: productPage,
    search: searchProducts,
    categories,
    watchStock,
    topSellers
  },
  coupons: {
    byId: couponById,
    page: couponPage,
    issue: issueCoupon,
    mine: myCoupons,
    requestIssue,
    ticket,
    watchTicket
  },
  orders: { create: createOrder, get: getOrder, page: orderPage, cancel: cancelOrder, watch: watchOrder },
  payments: { process: processPayment, get: getPayment },
  admin: {
    createProduct,
    adjustStock,
    createCoupon,
    pauseCoupon,
    resumeCoupon,
    raiseCouponQuantity,
    couponCounts,
    grantPoints: grant,
    deadLetters,
    retryDelivery,
    auditTrail
  }
} satisfies Handlers<HoldfastContract, App>

/** For plain tRPC clients: inputs, outputs and declared errors of every procedure. */
export type AppRouter = RouterOf<HoldfastContract>
