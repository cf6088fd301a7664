import { InvalidCredentials, type Session, Unauthenticated } from "@holdfast/domain"
import { Effect } from "effect"
import type { TokenFailure, TokenSource } from "./token-source.ts"

/** What the client logs in with. */
export interface Credentials {
  readonly email: string
  readonly password: string
}

/** Stores the session between calls. A store on top of `localStorage` keeps it between visits. */
export interface TokenStore {
  readonly load: () => Session | undefined | Promise<Session | undefined>
  readonly save: (session: Session) => void | Promise<void>
  readonly clear: () => void | Promise<void>
}

/** Stores the session in memory, for the lifetime of the client. */
export const memoryTokenStore = (): TokenStore => {
  let stored: Session | undefined
  return {
    load: () => stored,
    save: (session) => void (stored = session),
    clear: () => void (stored = undefined)
  }
}

/** The procedures that create sessions. */
export interface SessionCalls {
  readonly login: (credentials: Credentials) => Effect.Effect<Session, TokenFailure | InvalidCredentials>
  readonly refresh: (refreshToken: string) => Effect.Effect<Session, TokenFailure>
}

/**
 * A token source whose session the client manages: it logs in if it has credentials, refreshes once for all calls that
 * were rejected together, and logs in again when the refresh token is no longer valid.
 */
export const sessionTokens = (
  store: TokenStore,
  credentials: Credentials | undefined,
  calls: SessionCalls
): TokenSource => {
  // Reads the store when there is no cached token or one was rejected: another tab may have renewed it.
  let known: string | undefined
  const load = Effect.tap(
    Effect.promise(async () => store.load()),
    (session) => Effect.sync(() => void (known = session?.accessToken))
  )
  const clear = Effect.promise(async () => store.clear())
  const save = (session: Session) => Effect.promise(async () => store.save(session))
  const remember = <E>(session: Effect.Effect<Session, E>) =>
    session.pipe(
      Effect.tap(save),
      Effect.map(({ accessToken }) => (known = accessToken))
    )

  const login =
    credentials === undefined
      ? Effect.undefined
      : remember(calls.login(credentials)).pipe(Effect.catchTag("InvalidCredentials", wrongCredentials))

  const refresh = ({ refreshToken }: Session) =>
    remember(calls.refresh(refreshToken)).pipe(
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

/**
 * Runs the effect once for all callers that arrive while it runs. It runs in a fiber of its own, so an interrupted
 * caller does not cancel it for the others.
 */
const singleFlight = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let running: ReturnType<typeof Effect.runPromiseExit<A, E>> | undefined
  const start = () =>
    (running ??= Effect.runPromiseExit(effect).finally(() => {
      running = undefined
    }))
  return Effect.flatten(Effect.promise(start))
}

/** Wrong credentials of the client: the call that needed a token fails as unauthenticated. */
const wrongCredentials = (cause: InvalidCredentials) =>
  Effect.fail(Object.assign(new Unauthenticated({ reason: "invalid" }), { cause }))
