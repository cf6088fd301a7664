import { RateLimited } from "@holdfast/domain"
import { type RedisClient, RedisStore } from "@holdfast/locks"
import { Context, Effect, Layer } from "effect"
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

/** How long an address is known after a login from it. */
const KNOWN_MS = 30 * 86_400_000

/** What a process remembers of them while Redis is away. */
const REMEMBERED = 10_000

interface Bucket {
  readonly limit: RateLimited["limit"]
  readonly key: string
  readonly rate: Rate
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
     */
    readonly of: <A, E, R>(
      attempt: Attempt,
      check: Effect.Effect<A | undefined, E, R>
    ) => Effect.Effect<A | undefined, E | RateLimited, R>
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
      const bucketsOf = (account: string, address: string, isKnown: boolean): ReadonlyArray<Bucket> => {
        const ofAccount: Rate = { maximum: logins.wrongPasswords, windowMs: logins.windowMs }
        const ofAddress: Rate = { maximum: logins.wrongPasswordsOfAddress, windowMs: logins.windowMs }
        const strangers: Bucket = { limit: "wrong-passwords", key: `login:${account}`, rate: ofAccount }
        return [
          ...(isKnown ? [] : [strangers]),
          { limit: "wrong-passwords", key: `login:${account}:${address}`, rate: ofAccount },
          { limit: "wrong-passwords-of-address", key: `login:${address}`, rate: ofAddress }
        ]
      }
      const giveBack = (buckets: ReadonlyArray<Bucket>) =>
        Effect.forEach(buckets, ({ key, rate }) => limits.giveBack(key, rate), { discard: true })
      const takeAll = Effect.fnUntraced(function* (buckets: ReadonlyArray<Bucket>) {
        for (const [taken, { key, limit, rate }] of buckets.entries()) {
          const { isExceeded, resetMs } = yield* limits.countExactly(key, rate)
          if (!isExceeded) continue
          yield* giveBack(buckets.slice(0, taken))
          return yield* new RateLimited({ limit, retryAfterMs: resetMs })
        }
      })
      return {
        of: Effect.fnUntraced(function* ({ address, email }, check) {
          const account = createHash("sha256").update(email).digest("base64url").slice(0, 22)
          const buckets = bucketsOf(account, address, yield* addresses.isKnown(account, address))
          yield* takeAll(buckets)
          const checked = yield* Effect.tapError(check, () => giveBack(buckets))
          if (checked !== undefined) {
            yield* giveBack(buckets)
            yield* addresses.add(account, address)
          }
          return checked
        })
      }
    })
  )
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
