import type { InvalidInput, RateLimited, ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import { Effect } from "effect"
import type { RemoteDefect, TransportError } from "../errors.ts"

/** Why there is no token: errors that every authenticated procedure may fail with. */
export type TokenFailure =
  | Unauthenticated
  | InvalidInput
  | RateLimited
  | ServiceUnavailable
  | TransportError
  | RemoteDefect

/** Where a client's access tokens come from. */
export interface TokenSource {
  /** The cached token; `undefined` if {@link current} has to look for one. */
  readonly known: () => string | undefined
  /** The token to send; `undefined` if there is none. May log in. */
  readonly current: Effect.Effect<string | undefined, TokenFailure>
  /** Another token than the rejected one; `undefined` if there is none. */
  readonly renew: (rejected: string | undefined) => Effect.Effect<string | undefined, TokenFailure>
}

type MaybeToken = string | undefined

/** An access token, or a function that returns one and is called again when the server rejects it. */
export type TokenOption = string | (() => MaybeToken | Promise<MaybeToken>)

/** A token source whose tokens the application manages. */
export const givenToken = (token: TokenOption): TokenSource => {
  const current = typeof token === "string" ? Effect.succeed(token) : Effect.promise(async () => token())
  return {
    known: () => (typeof token === "string" ? token : undefined),
    current,
    renew: (rejected) => Effect.map(current, (fresh) => (fresh === rejected ? undefined : fresh))
  }
}
