import { InvalidCredentials, type Session, Unauthenticated } from "@holdfast/domain"
import { Effect } from "effect"
import { singleFlight } from "./single-flight.ts"
import type { TokenFailure, TokenSource } from "./token-source.ts"

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** Keeps the session between calls; one over `localStorage` keeps it between visits. */
export interface TokenStore {
  readonly load: () => Session | undefined | Promise<Session | undefined>
  readonly save: (session: Session) => void | Promise<void>
  readonly clear: () => void | Promise<void>
}

/** Keeps the session for as long as the client lives. */
export const memoryTokenStore = (): TokenStore => {
  let kept: Session | undefined
  return {
    load: () => kept,
    save: (session) => void (kept = session),
    clear: () => void (kept = undefined)
  }
}

/** The two procedures that make sessions. */
export interface SessionCalls {
  readonly login: (credentials: Credentials) => Effect.Effect<Session, TokenFailure | InvalidCredentials>
  readonly refresh: (refreshToken: string) => Effect.Effect<Session, TokenFailure>
}

/**
 * Tokens of a session that the client looks after: logs in with the credentials when it has some, refreshes once
 * for however many calls were rejected together, and logs in again when the refresh token is used up.
 */
export const sessionTokens = (
  store: TokenStore,
  credentials: Credentials | undefined,
  calls: SessionCalls
): TokenSource => {
  // The store is asked when no token is at hand and when one was rejected: another tab may have renewed it.
  let known: string | undefined
  const load = Effect.tap(
    Effect.promise(async () => store.load()),
    (session) => Effect.sync(() => void (known = session?.accessToken))
  )
  const clear = Effect.promise(async () => store.clear())
  const save = (session: Session) => Effect.promise(async () => store.save(session))
  const kept = <E>(session: Effect.Effect<Session, E>) =>
    session.pipe(
      Effect.tap(save),
      Effect.map(({ accessToken }) => (known = accessToken))
    )

  const login =
    credentials === undefined
      ? Effect.undefined
      : kept(calls.login(credentials)).pipe(Effect.catchTag("InvalidCredentials", wrongCredentials))

  const refresh = ({ refreshToken }: Session) =>
    kept(calls.refresh(refreshToken)).pipe(
      Effect.catchTag("Unauthenticated", () => Effect.andThen(clear, login))
    )

  const loginOnce = singleFlight(
    Effect.flatMap(load, (session) => (session === undefined ? login : Effect.succeed(session.accessToken)))
  )
  const renewOnce = singleFlight(
    Effect.flatMap(load, (session) => (session === undefined ? login : refresh(session)))
  )

  return {
    known: () => known,
    current: Effect.flatMap(load, (session) =>
      session === undefined ? loginOnce : Effect.succeed(session.accessToken)
    ),
    renew: (rejected) =>
      Effect.flatMap(load, (session) =>
        session !== undefined && session.accessToken !== rejected
          ? Effect.succeed(session.accessToken)
          : renewOnce
      )
  }
}

/** The client's own credentials are wrong: for the call that needed a token this is a missing authentication. */
const wrongCredentials = (cause: InvalidCredentials) =>
  Effect.fail(Object.assign(new Unauthenticated({ reason: "invalid" }), { cause }))
