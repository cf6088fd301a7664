import type { InvalidInput, ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import type { Effect } from "effect"
import type { RemoteDefect, TransportError } from "../errors.ts"

/** Why there is no token: errors that every procedure with a caller may fail with. */
export type TokenFailure = Unauthenticated | InvalidInput | ServiceUnavailable | TransportError | RemoteDefect

/** Where the access tokens of a client come from. */
export interface TokenSource {
  /** The token at hand; `undefined` when {@link current} has to look for one. */
  readonly known: () => string | undefined
  /** The token to send; `undefined` when there is none. May log in. */
  readonly current: Effect.Effect<string | undefined, TokenFailure>
  /** Another token than the one that the server rejected; `undefined` when there is none. */
  readonly renew: (rejected: string | undefined) => Effect.Effect<string | undefined, TokenFailure>
}
