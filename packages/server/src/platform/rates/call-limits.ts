import { type Procedure, RateLimited, type Unauthenticated } from "@holdfast/domain"
import { Effect, Result } from "effect"
import type { RateSettings } from "../config.ts"
import type { Caller } from "../trpc/handler.ts"
import type { RpcContext } from "../trpc/trpc.ts"
import type { Rate, RateLimits, Standing } from "./rate-limits.ts"

/** Decides whether a call may be made. Fails with `RateLimited`; notes in the context how the caller stands. */
export type CallLimit = (
  ctx: RpcContext,
  caller: Result.Result<Caller, Unauthenticated>
) => Effect.Effect<void, RateLimited>

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

const KINDS = {
  query: "reads",
  mutation: "writes",
  action: "writes",
  subscription: "subscriptions"
} as const satisfies Record<Procedure["kind"], RateLimited["limit"]>

/**
 * The limits of each procedure's calls: for an address, whoever calls from it, and for the caller and the procedure. The
 * caller is the user of a valid token, or else the address. Sign-ups always count for the address, exactly.
 */
export const makeCallLimits =
  (limits: RateLimits["Service"], settings: RateSettings) =>
  (procedure: Procedure, path: string): CallLimit => {
    const limit = procedure.rate ?? KINDS[procedure.kind]
    const ofAddress: Rate = { maximum: settings.addressPerMinute, windowMs: MINUTE_MS }
    const rates: Record<typeof limit, Rate> = {
      reads: { maximum: settings.readsPerMinute, windowMs: MINUTE_MS },
      writes: { maximum: settings.writesPerMinute, windowMs: MINUTE_MS },
      subscriptions: { maximum: settings.subscriptionsPerMinute, windowMs: MINUTE_MS },
      "sign-ups": { maximum: settings.signUpsPerHour, windowMs: HOUR_MS }
    }
    const rate = rates[limit]
    return (ctx, caller) => {
      const { address } = ctx
      const all = limits.count(`address:${address}`, ofAddress)
      if (all.isExceeded) return refused("address", all, ctx)
      if (limit === "sign-ups")
        return Effect.flatMap(limits.countExactly(`${path}:${address}`, rate), (standing) =>
          judged(limit, standing, ctx)
        )
      const who = Result.isSuccess(caller) ? caller.success.userId : address
      return judged(limit, limits.count(`${path}:${who}`, rate), ctx)
    }
  }

const judged = (limit: RateLimited["limit"], standing: Standing, ctx: RpcContext) => {
  if (standing.isExceeded) return refused(limit, standing, ctx)
  note(standing, ctx)
  return Effect.void
}

const refused = (limit: RateLimited["limit"], standing: Standing, ctx: RpcContext) => {
  note(standing, ctx)
  return Effect.fail(new RateLimited({ limit, retryAfterMs: standing.resetMs }))
}

/** Of the calls of a batch, the one that comes closest to its limit is told. */
const note = (standing: Standing, { standing: told }: RpcContext): void => {
  if (told.tightest === undefined || shareLeft(standing) < shareLeft(told.tightest)) told.tightest = standing
}

const shareLeft = ({ rate, remaining }: Standing): number => remaining / rate.maximum

/** How the caller stands, in the headers of draft-ietf-httpapi-ratelimit-headers-06: counts, and whole seconds. */
export const rateHeaders = ({ tightest }: RpcContext["standing"]): Readonly<Record<string, string>> =>
  tightest === undefined
    ? {}
    : {
        "ratelimit-limit": String(tightest.rate.maximum),
        "ratelimit-remaining": String(tightest.remaining),
        "ratelimit-reset": String(Math.ceil(tightest.resetMs / 1_000))
      }
