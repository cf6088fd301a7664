import type { ServiceUnavailable } from "@holdfast/domain"
import { hash, verify } from "@node-rs/argon2"
import { Context, Effect, Layer } from "effect"
import { availableParallelism } from "node:os"
import { ServerConfig } from "../../config.ts"
import { makeFairQueue } from "./fair-queue.ts"

/** The algorithm's number in the library's enum, which type stripping cannot inline. */
const ARGON2ID = 2

/**
 * Password hashes by argon2id (RFC 9106). Hashing is expensive by design, so at most one a core runs at once; more would
 * only take memory. The addresses of the callers take turns, and waiting callers can be interrupted. Beyond the bounds of
 * the queue both fail with `ServiceUnavailable` at once.
 */
export class Passwords extends Context.Service<
  Passwords,
  {
    /** @param salt 16 bytes; random ones by default */
    readonly hash: (
      password: string,
      address: string,
      salt?: Uint8Array
    ) => Effect.Effect<string, ServiceUnavailable>
    /** Takes the same time whether the user exists or not: without a hash it compares with a hash of no user. */
    readonly verify: (
      password: string,
      hash: string | undefined,
      address: string
    ) => Effect.Effect<boolean, ServiceUnavailable>
    /** Whether the hash was made at the costs that hashes have now. */
    readonly isCurrent: (hash: string) => boolean
  }
>()("@holdfast/server/Passwords") {
  static readonly layer: Layer.Layer<Passwords, never, ServerConfig> = Layer.effect(
    Passwords,
    Effect.gen(function* () {
      const { argon2, hashing } = yield* ServerConfig
      const inTurn = makeFairQueue({ atOnce: availableParallelism(), ...hashing })
      const options = {
        algorithm: ARGON2ID,
        memoryCost: argon2.memoryKib,
        timeCost: argon2.iterations,
        parallelism: 1
      }
      const hashNow = (password: string, salt?: Uint8Array) =>
        Effect.promise((signal) =>
          hash(password, salt === undefined ? options : { ...options, salt }, signal)
        )
      const nobody = yield* hashNow("a password that nobody has")
      // The form of https://github.com/P-H-C/phc-winner-argon2#command-line-utility: the costs come before the salt.
      const costs = /^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$/.exec(nobody)![0]
      return {
        isCurrent: (stored) => stored.startsWith(costs),
        hash: (password, address, salt) => inTurn(address, hashNow(password, salt)),
        verify: (password, stored, address) =>
          inTurn(
            address,
            Effect.map(
              Effect.promise((signal) => verify(stored ?? nobody, password, undefined, signal)),
              (fits) => fits && stored !== undefined
            )
          )
      }
    })
  )
}
