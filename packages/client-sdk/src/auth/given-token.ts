import { Effect } from "effect"
import type { TokenSource } from "./token-source.ts"

type MaybeToken = string | undefined

/** A token, or a function that gives one whenever it is needed; asked again when the server rejects what it gave. */
export type TokenOption = string | (() => MaybeToken | Promise<MaybeToken>)

/** Tokens that somebody else looks after. */
export const givenToken = (token: TokenOption): TokenSource => {
  const current = typeof token === "string" ? Effect.succeed(token) : Effect.promise(async () => token())
  return {
    known: () => (typeof token === "string" ? token : undefined),
    current,
    renew: (rejected) => Effect.map(current, (fresh) => (fresh === rejected ? undefined : fresh))
  }
}
