import type { ServiceUnavailable } from "@holdfast/domain"
import type { RedisStore } from "@holdfast/locks"
import { Context, Effect, Layer } from "effect"
import { LRUCache } from "lru-cache"
import { KeyNamespace } from "../db/key-namespace.ts"
import { type Counters, makeRedisCounters, type Usage } from "./redis-counters.ts"

/** So many uses in a window of time, in whole seconds. The window begins with the first use. */
export interface Rate {
  readonly maximum: number
  readonly windowMs: number
}

/** How a caller stands after a use. */
export interface Standing {
  readonly rate: Rate
  readonly isExceeded: boolean
  readonly remaining: number
  /** When the window ends and all uses are free again. */
  readonly resetMs: number
}

/** Windows that a process remembers. An attacker from more addresses than these is not one that a count stops. */
const REMEMBERED_WINDOWS = 100_000

/** A process tells the others of each twentieth part of a limit: that is how far they may be wrong about it. */
const SHARED_PARTS = 20

/** How long a refusal is repeated without asking Redis again. */
const REFUSED_MS = 250

/** What this process knows of a window. */
interface Window {
  used: number
  endsAtMs: number
  /** Uses that Redis has not been told of. */
  untold: number
  isTelling: boolean
  refusedUntilMs: number
}

/**
 * Counts what callers do, over all processes. Without Redis each process counts for itself, and goes on from what it knew
 * of the others.
 */
export class RateLimits extends Context.Service<
  RateLimits,
  {
    /**
     * Counts a use in this process and answers at once. Redis is told in the background, so that with n processes a caller
     * gets at most n twentieths of the limit too much.
     */
    readonly count: (key: string, rate: Rate) => Standing
    /**
     * Counts a use in Redis and waits for the answer: over all processes exactly `maximum` uses are within the limit. One
     * beyond it does not count.
     */
    readonly countExactly: (key: string, rate: Rate) => Effect.Effect<Standing>
    /** How the caller of a use that `countExactly` has just refused stands; `undefined`: none was. Asks nobody. */
    readonly refusedJustNow: (key: string, rate: Rate) => Standing | undefined
    /** Takes a use back that `countExactly` has counted. */
    readonly giveBack: (key: string, rate: Rate) => Effect.Effect<void>
  }
>()("@holdfast/server/RateLimits") {
  static readonly layer: Layer.Layer<RateLimits, never, RedisStore | KeyNamespace> = Layer.effect(
    RateLimits,
    Effect.gen(function* () {
      const counters = yield* makeRedisCounters
      const { prefix } = yield* KeyNamespace
      return makeRateLimits(counters, prefix)
    })
  )
}

/** Makes the limits on counters that may be away. */
const makeRateLimits = (
  counters: Counters,
  prefix: Effect.Effect<string, ServiceUnavailable>
): RateLimits["Service"] => {
  const windowOf = makeWindows()
  const addShared = (key: string, uses: number, { windowMs }: Rate) =>
    Effect.flatMap(prefix, (start) => counters.add(`${start}rate:${key}`, uses, windowMs))
  const tell = (key: string, window: Window, rate: Rate) => {
    const { untold } = window
    window.untold = 0
    window.isTelling = true
    const telling = addShared(key, untold, rate).pipe(
      // What Redis knows counts, and what it has not been told of.
      Effect.map((usage) => adopt(window, { ...usage, used: usage.used + window.untold })),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => void (window.isTelling = false)))
    )
    Effect.runFork(telling)
  }
  const giveBack = (key: string, rate: Rate) =>
    Effect.suspend(() => {
      const window = windowOf(key, rate.windowMs)
      window.used = Math.max(0, window.used - 1)
      window.refusedUntilMs = 0
      return Effect.ignore(addShared(key, -1, rate))
    })
  const refusedJustNow = (key: string, rate: Rate) => {
    const window = windowOf(key, rate.windowMs)
    return window.refusedUntilMs > performance.now() ? standingOf(window, rate, true) : undefined
  }
  return {
    giveBack,
    refusedJustNow,
    count: (key, rate) => {
      const window = windowOf(key, rate.windowMs)
      if (window.used >= rate.maximum) return standingOf(window, rate, true)
      window.used += 1
      window.untold += 1
      if (!window.isTelling && window.untold >= rate.maximum / SHARED_PARTS) tell(key, window, rate)
      return standingOf(window, rate, false)
    },
    countExactly: (key, rate) =>
      Effect.suspend(() => {
        const refused = refusedJustNow(key, rate)
        if (refused !== undefined) return Effect.succeed(refused)
        const window = windowOf(key, rate.windowMs)
        return addShared(key, 1, rate).pipe(
          Effect.match({ onSuccess: (usage) => adopt(window, usage), onFailure: () => (window.used += 1) }),
          Effect.flatMap((used) => {
            if (used <= rate.maximum) return Effect.succeed(standingOf(window, rate, false))
            return Effect.map(giveBack(key, rate), () => {
              window.refusedUntilMs = performance.now() + REFUSED_MS
              return standingOf(window, rate, true)
            })
          })
        )
      })
  }
}

/** The windows that a process remembers. */
const makeWindows = () => {
  const windows = new LRUCache<string, Window>({ max: REMEMBERED_WINDOWS })
  return (key: string, windowMs: number): Window => {
    const known = windows.get(key)
    const nowMs = performance.now()
    if (known !== undefined && known.endsAtMs > nowMs) return known
    const begun = { used: 0, endsAtMs: nowMs + windowMs, untold: 0, isTelling: false, refusedUntilMs: 0 }
    windows.set(key, begun)
    return begun
  }
}

/** Takes over what Redis knows. Returns the uses. */
const adopt = (window: Window, { resetMs, used }: Usage): number => {
  window.endsAtMs = performance.now() + resetMs
  return (window.used = used)
}

const standingOf = ({ endsAtMs, used }: Window, rate: Rate, isExceeded: boolean): Standing => ({
  rate,
  isExceeded,
  remaining: isExceeded ? 0 : Math.max(0, rate.maximum - used),
  resetMs: Math.max(1, Math.ceil(endsAtMs - performance.now()))
})
