import { Effect } from "effect"
import { ServerConfig, type ServerSettings } from "./config.ts"
import { fenceCleaner } from "./platform/db/fence-cleaner.ts"
import { idempotencyKeyCleaner } from "./platform/idempotency/cleanup.ts"
import { outboxRelay } from "./platform/outbox/relay.ts"
import { outboxTrimmer } from "./platform/outbox/retention.ts"
import { type Job, runJobs } from "./platform/jobs/runner.ts"
import { setAsideCleaner } from "./platform/jobs/set-aside-cleaner.ts"
import type { App } from "./app.ts"
import { booksVerifier } from "./books-verifier.ts"
import { cacheInvalidator } from "./cache-invalidation.ts"
import { sessionCleaner } from "./modules/auth/sessions/cleaner.ts"
import { gateReconciler } from "./modules/coupons/issuing/gate-reconciler.ts"
import { ticketCleaner } from "./modules/coupons/tickets/cleaner.ts"
import { ticketServer } from "./modules/coupons/tickets/service.ts"
import { orderExpiry } from "./modules/orders/expiry-job.ts"
import { rankingProjector } from "./modules/ranking/projector.ts"
import { rankingReconciler } from "./modules/ranking/rebuild.ts"
import { webhookJobs } from "./modules/webhooks/jobs.ts"

/** All background jobs. */
export const jobsOf = (settings: ServerSettings): ReadonlyArray<Job<App>> => [
  gateReconciler,
  ticketServer,
  orderExpiry,
  outboxRelay,
  rankingProjector,
  cacheInvalidator,
  rankingReconciler,
  ...webhookJobs(settings),
  outboxTrimmer,
  idempotencyKeyCleaner,
  sessionCleaner,
  ticketCleaner,
  setAsideCleaner,
  fenceCleaner,
  booksVerifier
]

/** Starts the jobs, where this process runs them. */
export const startJobs = (runsJobs: boolean) =>
  Effect.gen(function* () {
    const settings = yield* ServerConfig
    return yield* runJobs(runsJobs ? jobsOf(settings) : [])
  })
