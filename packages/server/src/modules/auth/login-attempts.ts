import { RateLimited } from "@holdfast/domain"
import { type RedisClient, RedisStore } from "@holdfast/locks"
import { Context, Deferred, Effect, Layer, RcMap, Semaphore } from "effect"
import { LRUCache } from "lru-cache"
import { createHash } from "node:crypto"
import { ServerConfig } from "../../config.ts"
import { KeyNamespace } from "../../platform/db/key-namespace.ts"
import { type Rate, RateLimits } from "../../platform/rates/rate-limits.ts"

/** Who tries to log in, and from where. */
export interface Attempt {
  readonly email: string
  readonly address: string
}

/** A bound that the last wrong password has used up. */
export interface ExhaustedAttempts {
  readonly limit: RateLimited["limit"]
  /** How many wrong passwords were compared in the window. */
  readonly refused: number
  readonly windowMs: number
}

/** How long an address is known after a login from it. */
const KNOWN_MS = 30 * 86_400_000

/** What a process remembers of them while Redis is away. */
const REMEMBERED = 10_000

interface Bucket {
  readonly limit: RateLimited["limit"]
  readonly key: string
  readonly rate: Rate
  /** Whether its end is told. Of the two bounds of an account a stranger uses up both, and one is told. */
  readonly isTold: boolean
}

/**
 * Bounds wrong passwords: for an account from one address, for an account from all addresses that it has not been used
 * from, and for an address. Strangers use up the second bound together, which the owner at a known address does not need.
 * An account that does not exist has the same bounds, so they tell nothing.
 */
export class LoginAttempts extends Context.Service<
  LoginAttempts,
  {
    /**
     * Runs the check of a password as one of the attempts that are left, or fails with `RateLimited` before it costs
     * anything. `check` gives `undefined` for a wrong password; a right one uses up no attempt, and makes the address known.
     * `onExhausted` runs after the wrong password that was the last of a bound: once in a window for each.
     */
    readonly of: <A, E, R, E2, R2>(
      attempt: Attempt,
      check: Effect.Effect<A | undefined, E, R>,
      onExhausted: (exhausted: ExhaustedAttempts) => Effect.Effect<void, E2, R2>
    ) => Effect.Effect<A | undefined, E | E2 | RateLimited, R | R2>
  }
>()("@holdfast/server/LoginAttempts") {
  static readonly layer: Layer.Layer<
    LoginAttempts,
    never,
    RateLimits | RedisStore | KeyNamespace | ServerConfig
  > = Layer.effect(
    LoginAttempts,
    Effect.gen(function* () {
      const limits = yield* RateLimits
      const addresses = yield* makeKnownAddresses
      const { logins } = yield* ServerConfig
      const inTurn = yield* makeTurns(limits)
      const ofAddress: Rate = { maximum: logins.wrongPasswordsOfAddress, windowMs: logins.windowMs }
      /** Costs the flood of an address that has been refused no question of Redis. */
      const refuseExhausted = (address: string) => {
        const standing = limits.refusedJustNow(`login:${address}`, ofAddress)
        return standing === undefined
          ? Effect.void
          : Effect.fail(
              new RateLimited({ limit: "wrong-passwords-of-address", retryAfterMs: standing.resetMs })
            )
      }
      const bucketsOf = (account: string, address: string, isKnown: boolean): ReadonlyArray<Bucket> => {
        const ofAccount: Rate = { maximum: logins.wrongPasswords, windowMs: logins.windowMs }
        const strangers: Bucket = {
          limit: "wrong-passwords",
          key: `login:${account}`,
          rate: ofAccount,
          isTold: true
        }
        return [
          ...(isKnown ? [] : [strangers]),
          { limit: "wrong-passwords", key: `login:${account}:${address}`, rate: ofAccount, isTold: isKnown },
          { limit: "wrong-passwords-of-address", key: `login:${address}`, rate: ofAddress, isTold: true }
        ]
      }
      return {
        of: Effect.fnUntraced(function* ({ address, email }, check, onExhausted) {
          const account = createHash("sha256").update(email).digest("base64url").slice(0, 22)
          yield* refuseExhausted(address)
          const buckets = bucketsOf(account, address, yield* addresses.isKnown(account, address))
          const { checked, last } = yield* inTurn(buckets, check)
          if (checked !== undefined) {
            yield* addresses.add(account, address)
            return checked
          }
          for (const [limit, { maximum, windowMs }] of last)
            yield* onExhausted({ limit, refused: maximum, windowMs })
          return checked
        })
      }
    })
  )
}

/** The limits of which an attempt was the last one. */
type LastAttempts = ReadonlyMap<RateLimited["limit"], Rate>

/**
 * Takes an attempt from each bucket, runs the check, and gives the attempts back unless the password was wrong. An attempt
 * that this process is comparing may come back, so the next caller waits for its end instead of being refused until the
 * window's. Strangers to an account wait behind that caller; a known address waits behind its own callers alone.
 */
const makeTurns = (limits: RateLimits["Service"]) =>
  Effect.gen(function* () {
    const comparisons = makeComparisons()
    const turns = yield* RcMap.make({ lookup: (_line: string) => Semaphore.make(1) })
    const giveBack = (buckets: ReadonlyArray<Bucket>) =>
      Effect.forEach(buckets, ({ key, rate }) => limits.giveBack(key, rate), { discard: true })
    const take = (
      buckets: ReadonlyArray<Bucket>,
      waitFor: (end: Effect.Effect<void>) => Effect.Effect<void>
    ): Effect.Effect<LastAttempts, RateLimited> =>
      Effect.gen(function* () {
        const last = new Map<RateLimited["limit"], Rate>()
        for (const [taken, { isTold, key, limit, rate }] of buckets.entries()) {
          const { isExceeded, remaining, resetMs } = yield* limits.countExactly(key, rate)
          if (!isExceeded) {
            if (isTold && remaining === 0) last.set(limit, rate)
            continue
          }
          yield* giveBack(buckets.slice(0, taken))
          const end = comparisons.nextEnd(key)
          if (end === undefined) return yield* new RateLimited({ limit, retryAfterMs: resetMs })
          yield* waitFor(end)
          return yield* take(buckets, waitFor)
        }
        comparisons.begin(buckets)
        return last
      })
    return <A, E, R>(
      buckets: ReadonlyArray<Bucket>,
      check: Effect.Effect<A | undefined, E, R>
    ): Effect.Effect<{ readonly checked: A | undefined; readonly last: LastAttempts }, E | RateLimited, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const turn = yield* RcMap.get(turns, buckets[0]!.key)
          yield* restore(turn.take(1))
          const last = yield* Effect.ensuring(take(buckets, restore), turn.release(1))
          const end = Effect.sync(() => comparisons.end(buckets))
          const checked = yield* restore(check).pipe(
            Effect.tap((found) => (found === undefined ? Effect.void : giveBack(buckets))),
            Effect.tapError(() => giveBack(buckets)),
            Effect.ensuring(end)
          )
          return { checked, last }
        })
      ).pipe(Effect.scoped)
  })

/** The attempts whose passwords this process compares, by the buckets that they are taken from. */
const makeComparisons = () => {
  const running = new Map<string, { attempts: number; nextEnd: Deferred.Deferred<void> }>()
  return {
    begin: (buckets: ReadonlyArray<Bucket>): void => {
      for (const { key } of buckets) {
        const known = running.get(key)
        if (known === undefined) running.set(key, { attempts: 1, nextEnd: Deferred.makeUnsafe() })
        else known.attempts += 1
      }
    },
    end: (buckets: ReadonlyArray<Bucket>): void => {
      for (const { key } of buckets) {
        const known = running.get(key)!
        Deferred.doneUnsafe(known.nextEnd, Effect.void)
        known.attempts -= 1
        if (known.attempts === 0) running.delete(key)
        else known.nextEnd = Deferred.makeUnsafe()
      }
    },
    /** Waits until one of them ends; `undefined` when there is none. */
    nextEnd: (key: string): Effect.Effect<void> | undefined => {
      const known = running.get(key)
      return known && Deferred.await(known.nextEnd)
    }
  }
}

/** The addresses that accounts have been used from. Redis keeps them; without it a process knows those of its own logins. */
const makeKnownAddresses = Effect.gen(function* () {
  const { ask } = yield* RedisStore
  const { prefix } = yield* KeyNamespace
  const remembered = new LRUCache<string, true>({ max: REMEMBERED })
  const withKey = <A>(
    account: string,
    address: string,
    call: (redis: RedisClient, key: string) => Promise<A>
  ) => Effect.flatMap(prefix, (start) => ask((client) => call(client, `${start}known:${account}:${address}`)))
  return {
    isKnown: (account: string, address: string) =>
      remembered.has(`${account}:${address}`)
        ? Effect.succeed(true)
        : withKey(account, address, (redis, key) => redis.exists(key)).pipe(
            Effect.match({ onSuccess: (found) => found === 1, onFailure: () => false })
          ),
    add: (account: string, address: string) => {
      remembered.set(`${account}:${address}`, true)
      return Effect.ignore(withKey(account, address, (redis, key) => redis.set(key, "", "PX", KNOWN_MS)))
    }
  }
})
