import { contract, type Session } from "@holdfast/domain"
import {
  type Credentials,
  memoryTokenStore,
  type SessionTokens,
  sessionTokens,
  type TokenStore
} from "./auth/sessions.ts"
import { givenToken, type TokenOption } from "./auth/token-source.ts"
import { debugged } from "./debug.ts"
import { deriveClient } from "./derive-client.ts"
import type { Hooks } from "./hooks.ts"
import { type Invoke, makeInvoke } from "./invoke.ts"
import { authLink } from "./links/auth-link.ts"
import type { HoldfastLink } from "./links/call.ts"
import { chain } from "./links/chain.ts"
import { decodingLink } from "./links/errors-link.ts"
import { hooksLink } from "./links/hooks-link.ts"
import { type Headers, holdfastHttpLink } from "./links/http-link.ts"
import { idempotencyLink } from "./links/idempotency-link.ts"
import { retryLink } from "./links/retry-link.ts"
import { makeOperation } from "./operation.ts"
import type { RetryPolicy } from "./retry.ts"
import { makeSubscribe } from "./subscribe.ts"
import type { Fetch } from "./transport/responses.ts"
import type { Client } from "./types.ts"

/**
 * The options of {@link createClient}. Authentication is one of three: `token`, which the application manages; `auth`,
 * credentials with which the client logs in by itself; or neither, in which case the client uses the session of
 * `client.auth.login(...)`.
 */
export interface ClientOptions extends Hooks {
  /** The server's URL, `http://localhost:3000` for instance. */
  readonly url: string
  /** An access token, or a function that returns one and is called again when the server rejects it. */
  readonly token?: TokenOption
  /** Logs in at the first call that needs a token, refreshes it, and logs in again when refreshing fails. */
  readonly auth?: Credentials
  /** Stores the session elsewhere than in memory. Not used with `token`. */
  readonly tokenStore?: TokenStore
  /** Replaces the global `fetch`. */
  readonly fetch?: Fetch
  /** How long a call may take, including retries. Default: 30,000. A call can override it. */
  readonly timeoutMs?: number
  /** Overrides parts of the retry policy; `false` disables retries. */
  readonly retry?: Partial<RetryPolicy> | false
  /** Additional headers for every request. */
  readonly headers?: Headers | (() => Headers | Promise<Headers>)
  /** How many requests may be in flight at the same time, each on its own connection. Default: 32. */
  readonly maxConnections?: number
  /** How many requests may wait for a connection before further calls fail as `overloaded`. Default: 10,000. */
  readonly maxWaiting?: number
  /**
   * Prints a line for every request: procedure, attempt, outcome, duration and ids, and nothing of what is sent or
   * answered. Or a function that receives the lines. The environment variable `HOLDFAST_DEBUG` turns it on, too.
   */
  readonly debug?: boolean | ((line: string) => void)
  /**
   * Further links of tRPC, `loggerLink()` for instance. They stand above the client's own: each sees a call once, with
   * its decoded answer or its typed error as the `cause`.
   */
  readonly links?: ReadonlyArray<HoldfastLink>
}

/**
 * Creates a client of a Holdfast server. Every procedure is a method: `client.orders.create(input)` resolves with the
 * output or rejects with a tagged error, `client.safe.orders.create(input)` resolves with a {@link Result}, and
 * `client.effect.orders.create(input)` is an Effect with the procedure's exact errors.
 * @throws {TypeError} with the correction, if `url` is not the URL of a server
 */
export const createClient = (options: ClientOptions): Client => {
  const { auth, links = [], retry = {}, timeoutMs, token } = options
  const policy = retry === false ? { maxAttempts: 1 } : retry
  const store = options.tokenStore ?? memoryTokenStore()
  const sessions =
    token === undefined
      ? sessionTokens(store, auth, {
          login: (credentials) => invoke(login, credentials) as Promise<Session>,
          refresh: (refreshToken) => invoke(refresh, { refreshToken }) as Promise<Session>
        })
      : undefined
  const send = chain([
    ...links,
    idempotencyLink(),
    retryLink({ ...policy, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
    authLink(sessions ?? givenToken(token!)),
    hooksLink(debugged(options)),
    decodingLink(),
    holdfastHttpLink({ ...options, attemptTimeoutMs: policy.attemptTimeoutMs })
  ])
  const invoke = makeInvoke(send)
  const sessionInvoke =
    sessions === undefined ? invoke : followingSessions(invoke, sessions, auth === undefined)
  return deriveClient(contract, sessionInvoke, makeSubscribe(send))
}

const login = makeOperation("auth.login", contract.auth.login)
const refresh = makeOperation("auth.refresh", contract.auth.refresh)

/** Makes a client without credentials act as the user who logs in through it, and every client forget a session that ends. */
const followingSessions =
  (invoke: Invoke, sessions: SessionTokens, actsAsCaller: boolean): Invoke =>
  async (operation, input, options, call) => {
    const output = await invoke(operation, input, options, call)
    const { procedure } = operation
    if (procedure === contract.auth.logout) await sessions.adopt(undefined)
    else if (actsAsCaller && (procedure === contract.auth.login || procedure === contract.auth.refresh))
      await sessions.adopt(output as Session)
    return output
  }
