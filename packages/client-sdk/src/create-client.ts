import { contract, type Session } from "@holdfast/domain"
import { Effect } from "effect"
import { givenToken, type TokenOption } from "./auth/given-token.ts"
import {
  type Credentials,
  memoryTokenStore,
  type SessionCalls,
  sessionTokens,
  type TokenStore
} from "./auth/sessions.ts"
import type { TokenSource } from "./auth/token-source.ts"
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
 * How a client is made. Who calls is one of three: `token`, which somebody else looks after; `auth`, credentials with
 * which the client logs in by itself; or neither, then the session of `client.auth.login(...)` is kept and used.
 */
export interface ClientOptions {
  /** Where the server is, `http://localhost:3000` for instance. */
  readonly url: string
  /** An access token, or a function that gives one; it is asked again when the server rejects the last one. */
  readonly token?: TokenOption
  /** Logs in at the first call that needs it, refreshes, and logs in again when the refresh token is used up. */
  readonly auth?: Credentials
  /** Keeps the session somewhere else than in memory. Not used with `token`. */
  readonly tokenStore?: TokenStore
  /** Another `fetch` than the global one. */
  readonly fetch?: Fetch
  /** How long a call may take, its retries included. 30,000 unless given; a call can say it for itself. */
  readonly timeoutMs?: number
  /** How calls are repeated; `false`: never. */
  readonly retry?: Partial<RetryPolicy> | false
  /** More headers for every request. */
  readonly headers?: Headers | (() => Headers | Promise<Headers>)
  /** How many requests may be on their way at once, and so about how many connections are open. 32 unless given. */
  readonly maxConnections?: number
  /** How many more may wait for their turn before calls fail as `overloaded`. 10,000 unless given. */
  readonly maxWaiting?: number
  /** Called before every request, retries included. Must not throw. */
  readonly onRequest?: (event: RequestEvent) => void
  /** Called after every request. Must not throw. */
  readonly onResponse?: (event: ResponseEvent) => void
}

/**
 * The client of a Holdfast server. Every procedure is a method: `client.orders.create(input)` resolves with the
 * output or rejects with a tagged class, `client.safe.orders.create(input)` resolves with a result,
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

/** Adds the caller's token to the calls that need one, from wherever the options say. */
const authenticated = (invoke: Invoke, { auth, token, tokenStore }: ClientOptions): Authenticated => {
  const using = (tokens: TokenSource): Authenticated => ({
    tokens,
    runOperation: (operation, input, options) => invoke(operation, input, options, tokens)
  })
  if (token !== undefined) return using(givenToken(token))
  const store = tokenStore ?? memoryTokenStore()
  const session = using(sessionTokens(store, auth, sessionCalls(invoke)))
  return auth === undefined
    ? { ...session, runOperation: keepingSessions(session.runOperation, store) }
    : session
}

/** A client without credentials of its own becomes the user who logs in through it. */
const keepingSessions =
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
  // `invoke` knows operations, not procedures, so the contract's types of these two are put back here.
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
