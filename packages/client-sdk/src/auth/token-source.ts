/** Where a client's access tokens come from. Both promises reject with what the application or a login threw. */
export interface TokenSource {
  /** The cached token; `undefined` if {@link current} has to look for one. */
  readonly known: () => string | undefined
  /** The token to send; `undefined` if there is none. May log in. */
  readonly current: () => Promise<string | undefined>
  /** Another token than the rejected one; `undefined` if there is none. */
  readonly renew: (rejected: string | undefined) => Promise<string | undefined>
}

type MaybeToken = string | undefined

/** An access token, or a function that returns one and is called again when the server rejects it. */
export type TokenOption = string | (() => MaybeToken | Promise<MaybeToken>)

/** A token source whose tokens the application manages. */
export const givenToken = (token: TokenOption): TokenSource => {
  const current = async () => (typeof token === "string" ? token : token())
  return {
    known: () => (typeof token === "string" ? token : undefined),
    current,
    renew: async (rejected) => {
      const fresh = await current()
      return fresh === rejected ? undefined : fresh
    }
  }
}
