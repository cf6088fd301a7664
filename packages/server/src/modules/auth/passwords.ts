import { hash, verify } from "@node-rs/argon2"
import { Context, Effect, Layer, Semaphore } from "effect"
import { availableParallelism } from "node:os"
import { ServerConfig } from "../../config.ts"

/** The algorithm's number in the library's enum, which type stripping cannot inline. */
const ARGON2ID = 2

/**
 * Password hashes by argon2id (RFC 9106). Hashing is expensive by design, so at most one a core runs at once; more would
 * only take memory. Waiting callers can be interrupted.
 */
export class Passwords extends Context.Service<
  Passwords,
  {
    /** @param salt 16 bytes; random ones by default */
    readonly hash: (password: string, salt?: Uint8Array) => Effect.Effect<string>
    /** Takes the same time whether the user exists or not: without a hash it compares with a hash of no user. */
    readonly verify: (password: string, hash: string | undefined) => Effect.Effect<boolean>
  }
>()("@holdfast/server/Passwords") {
  static readonly layer: Layer.Layer<Passwords, never, ServerConfig> = Layer.effect(
    Passwords,
    Effect.gen(function* () {
      const { argon2 } = yield* ServerConfig
      const cores = yield* Semaphore.make(availableParallelism())
      const options = {
        algorithm: ARGON2ID,
        memoryCost: argon2.memoryKib,
        timeCost: argon2.iterations,
        parallelism: 1
      }
      const hashPassword = (password: string, salt?: Uint8Array) =>
        cores.withPermits(1)(
          Effect.promise((signal) =>
            hash(password, salt === undefined ? options : { ...options, salt }, signal)
          )
        )
      const nobody = yield* hashPassword("a password that nobody has")
      return {
        hash: hashPassword,
        verify: (password, stored) =>
          cores.withPermits(1)(
            Effect.map(
              Effect.promise((signal) => verify(stored ?? nobody, password, undefined, signal)),
              (fits) => fits && stored !== undefined
            )
          )
      }
    })
  )
}
