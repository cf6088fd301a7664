import { InvalidCredentials, type Session, Unauthenticated } from "@holdfast/domain"
import type { TokenSource } from "./token-source.ts"

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
  readonly login: (credentials: Credentials) => Promise<Session>
  readonly refresh: (refreshToken: string) => Promise<Session>
}

/** A token source with a session that can be replaced from outside. */
export interface SessionTokens extends TokenSource {
  /** From now on, calls are made in this session; without one, in none. */
  readonly adopt: (session: Session | undefined) => Promise<void>
}

/**
 * A token source whose session the client manages: it logs in if it has credentials, refreshes once for all calls that
 * were rejected together, and logs in again when the refresh token is no longer valid.
 */
export const sessionTokens = (
  store: TokenStore,
  credentials: Credentials | undefined,
  calls: SessionCalls
): SessionTokens => {
  // Reads the store when there is no cached token or one was rejected: another tab may have renewed it.
  let known: string | undefined
  const load = async () => {
    const session = await store.load()
    known = session?.accessToken
    return session
  }
  const remember = async (session: Session) => {
    await store.save(session)
    return (known = session.accessToken)
  }
  const login = async () => {
    if (credentials === undefined) return undefined
    try {
      return await remember(await calls.login(credentials))
    } catch (error) {
      throw error instanceof InvalidCredentials ? wrongCredentials(error) : error
    }
  }
  const refresh = async ({ refreshToken }: Session) => {
    try {
      return await remember(await calls.refresh(refreshToken))
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error
      await store.clear()
      return login()
    }
  }
  const loginOnce = singleFlight(async () => (await load())?.accessToken ?? login())
  const renewOnce = singleFlight(async () => {
    const session = await load()
    return session === undefined ? login() : refresh(session)
  })

  return {
    adopt: async (session) => {
      await (session === undefined ? store.clear() : store.save(session))
      known = session?.accessToken
    },
    known: () => known,
    current: async () => (await load())?.accessToken ?? loginOnce(),
    renew: async (rejected) => {
      const session = await load()
      return session !== undefined && session.accessToken !== rejected ? session.accessToken : renewOnce()
    }
  }
}

/** Runs the work once for all callers that arrive while it runs. */
const singleFlight = <A>(work: () => Promise<A>): (() => Promise<A>) => {
  let running: Promise<A> | undefined
  return () =>
    (running ??= work().finally(() => {
      running = undefined
    }))
}

/** Wrong credentials of the client: the call that needed a token fails as unauthenticated. */
const wrongCredentials = (cause: InvalidCredentials) =>
  Object.assign(new Unauthenticated({ reason: "invalid" }), { cause })
