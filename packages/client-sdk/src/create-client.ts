import { contract, type Session } from "@holdfast/domain"
import { Effect } from "effect"
import {
  type Credentials,
  memoryTokenStore,
  type SessionCalls,
  sessionTokens,
  type TokenStore
} from "./auth/sessions.ts"
import { givenToken, type TokenOption, type TokenSource } from "./auth/token-source.ts"
import { deriveClient, type RunOperation } from "./derive-client.ts"
import type { RemoteDefect, Reported, TransportError } from "./errors.ts"
import type { RequestEvent, ResponseEvent } from "./hooks.ts"
import { type Invoke, type InvokeDependencies, makeInvoke } from "./invoke.ts"
import { makeOperation } from "./operation.ts"
import { defaultRetryPolicy, type RetryPolicy } from "./retry.ts"
import type { Fetch } from "./transport/bounded-fetch.ts"
import { makeSubscribe } from "./subscribe.ts"
import { makeHttpTransport } from "./transport/http-transport.ts"
import type { Client } from "./types.ts"

type Headers = Readonly<Record<string, string>>

/**
 * The options of {@link createClient}. Authentication is one of three: `token`, which the application manages; `auth`,
 * credentials with which the client logs in by itself; or neither, in which case the client uses the session of
 * `client.auth.login(...)`.
 */
export interface ClientOptions {
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
  /** Called before every request, including retries. Must not throw. */
  readonly onRequest?: (event: RequestEvent) => void
  /** Called after every request. Must not throw. */
  readonly onResponse?: (event: ResponseEvent) => void
}

/**
 * Creates a client of a Holdfast server. Every procedure is a method: `client.orders.create(input)` resolves with the
 * output or rejects with a tagged error, `client.safe.orders.create(input)` resolves with a {@link Result}, and
 * `client.effect.orders.create(input)` is an Effect with the procedure's exact errors.
 */
export const createClient = (options: ClientOptions): Client => {
  const retry = { ...defaultRetryPolicy, ...(options.retry === false ? { maxAttempts: 1 } : options.retry) }
  const { headers = {} } = options
  const dependencies: InvokeDependencies = {
    transport: makeHttpTransport({
      url: options.url,
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      headers: typeof headers === "function" ? headers : () => headers,
      attemptTimeoutMs: retry.attemptTimeoutMs,
      maxConnections: options.maxConnections ?? 32,
      maxWaiting: options.maxWaiting ?? 10_000
    }),
    retry,
    timeoutMs: options.timeoutMs ?? 30_000,
    onRequest: options.onRequest,
    onResponse: options.onResponse
  }
  const invoke = makeInvoke(dependencies)
  const subscribe = makeSubscribe(dependencies)
  const { runOperation, tokens } = authenticated(invoke, options)
  return deriveClient(contract, runOperation, (operation, input, signal) =>
    subscribe(operation, input, signal, tokens)
  )
}

interface Authenticated {
  readonly runOperation: RunOperation
  readonly tokens: TokenSource
}

/** Adds a token from the configured source to the calls that need one. */
const authenticated = (invoke: Invoke, { auth, token, tokenStore }: ClientOptions): Authenticated => {
  const using = (tokens: TokenSource): Authenticated => ({
    tokens,
    runOperation: (operation, input, options) => invoke(operation, input, options, tokens)
  })
  if (token !== undefined) return using(givenToken(token))
  const store = tokenStore ?? memoryTokenStore()
  const session = using(sessionTokens(store, auth, sessionCalls(invoke)))
  return auth === undefined
    ? { ...session, runOperation: savingSessions(session.runOperation, store) }
    : session
}

/** Makes a client without credentials act as the user who logs in through it. */
const savingSessions =
  (run: RunOperation, store: TokenStore): RunOperation =>
  (operation, input, options) => {
    const call = run(operation, input, options)
    if (operation.procedure !== contract.auth.login && operation.procedure !== contract.auth.refresh)
      return call
    return Effect.tap(call, (session) => Effect.promise(async () => store.save(session as Session)))
  }

const sessionCalls = (invoke: Invoke): SessionCalls => {
  const login = makeOperation("auth.login", contract.auth.login)
  const refresh = makeOperation("auth.refresh", contract.auth.refresh)
  // `invoke` works on untyped operations, so the contract's types of these two are restored here.
  type Typed<Declared> = Effect.Effect<Session, Reported<Declared | TransportError | RemoteDefect>>
  return {
    login: (credentials) =>
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      invoke(login, credentials, {}, undefined) as Typed<
        InstanceType<(typeof contract.auth.login.errors)[number]>
      >,
    refresh: (refreshToken) =>
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      invoke(refresh, { refreshToken }, {}, undefined) as Typed<
        InstanceType<(typeof contract.auth.refresh.errors)[number]>
      >
  }
}
