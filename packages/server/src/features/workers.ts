import { Effect } from "effect"
import { ServerConfig, type ServerSettings } from "../config/ServerConfig.ts"
import { idempotencyKeyCleaner } from "../workers/cleanup.ts"
import { outboxRelay } from "../workers/outbox/relay.ts"
import { outboxTrimmer, streamTrimmer } from "../workers/outbox/trim.ts"
import { runWorkers } from "../workers/supervise.ts"
import type { Worker } from "../workers/Worker.ts"
import type { App } from "./App.ts"
import { cacheInvalidator } from "./cacheEvents.ts"
import { couponGateKeeper } from "./coupons/keeper.ts"
import { ticketServer } from "./coupons/tickets.ts"
import { orderExpiry } from "./orders/expiry.ts"
import { rankingProjector } from "./ranking/projector.ts"
import { rankingReconciler } from "./ranking/rebuild.ts"
import { webhookWorkers } from "./webhooks/workers.ts"

/** All that happens in the background. */
export const workersOf = (settings: ServerSettings): ReadonlyArray<Worker<App>> => [
  couponGateKeeper,
  ticketServer,
  orderExpiry,
  outboxRelay,
  rankingProjector,
  cacheInvalidator,
  rankingReconciler,
  ...webhookWorkers(settings),
  streamTrimmer,
  outboxTrimmer,
  idempotencyKeyCleaner
]

/** Starts it, where this process is to do background work. */
export const startWorkers = Effect.gen(function* () {
  const settings = yield* ServerConfig
  return yield* runWorkers(settings.workers ? workersOf(settings) : [])
})
