import type { Contract, ErrorOf, HoldfastContract, InputOf, OutputOf, Procedure } from "@holdfast/domain"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { RemoteDefect, Reported, TransportError, UnknownError } from "./errors.ts"
import type { ResponseEvent } from "./hooks.ts"
import type { PageDocuments } from "./page-documents.ts"

/** The options of a call in the Effect API. */
export interface EffectCallOptions {
  /** How long the whole call may take, including retries. */
  readonly timeoutMs?: number
  /** How many requests of the call may fail; 1 disables retries. */
  readonly maxAttempts?: number
  /** Additional headers, which override the client's. A query with headers of its own is not batched. */
  readonly headers?: Readonly<Record<string, string>>
  /** Called after every request of this call, like the client's `onResponse`. What it throws is ignored. */
  readonly onResponse?: (event: ResponseEvent) => unknown
}

/** The options of a call in the Promise API. */
export interface CallOptions extends EffectCallOptions {
  /** Aborting the signal cancels the request and the server's work; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** The idempotency key of a mutation. By default the client generates one per call. */
export interface IdempotencyOption {
  /** 1 to 255 visible ASCII characters. Reusing the key returns the same answer, even from another process or a day later. */
  readonly idempotencyKey?: string
}

/** Every error of a call: the declared errors, no answer, or an undeclared answer. */
export type FailureOf<P extends Procedure> = Reported<
  ErrorOf<P> | TransportError | RemoteDefect | UnknownError
>

/** The outcome of a call as a value. */
export type Result<A, E> =
  | { readonly ok: true; readonly value: A }
  | { readonly ok: false; readonly error: E }

type OptionsOf<P extends Procedure, Base> = P["kind"] extends "mutation" ? Base & IdempotencyOption : Base

/** An empty input accepts no fields, so that options cannot be passed in its place by mistake. */
type GivenInput<P extends Procedure> = keyof InputOf<P> extends never ? Record<string, never> : InputOf<P>

type Arguments<P extends Procedure, Options> =
  Record<string, never> extends GivenInput<P>
    ? [input?: GivenInput<P>, options?: OptionsOf<P, Options>]
    : [input: GivenInput<P>, options?: OptionsOf<P, Options>]

/** What the server answered a call with, besides the output. */
export interface ResponseDetails {
  /** Identifies the last request in the server's log. */
  readonly requestId: string | undefined
  /** How many requests were sent, including retries. */
  readonly attempts: number
  /** The HTTP status and headers of the answer. The calls of a batch share them. */
  readonly status: number | undefined
  readonly headers: { readonly get: (name: string) => string | null } | undefined
}

/** The promise of an output, from which the details of the answer are to be had. */
export interface CallPromise<A> extends Promise<A> {
  /** Resolves with the output and the details of its answer. */
  readonly withResponse: () => Promise<{ readonly value: A; readonly response: ResponseDetails }>
}

/** The items of all pages, each page fetched when the loop reaches it. */
export interface Items<Item> extends AsyncIterable<Item> {
  /** The first `limit` items, 10,000 at most. */
  readonly autoPagingToArray: (options: { readonly limit: number }) => Promise<ReadonlyArray<Item>>
}

/** The items of all pages as results. A failure is the last one. */
export interface SafeItems<Item, E> extends AsyncIterable<Result<Item, E>> {
  /** The first `limit` items, 10,000 at most. */
  readonly autoPagingToArray: (options: { readonly limit: number }) => Promise<Result<ReadonlyArray<Item>, E>>
}

/** A procedure as a method of the Promise API. */
export type PromiseMethod<P extends Procedure> = (
  ...args: Arguments<P, CallOptions>
) => CallPromise<OutputOf<P>>

/** A procedure as a method of the safe API. The errors are spelled out, because editors show the name of an alias alone. */
export type SafeMethod<P extends Procedure> = (
  ...args: Arguments<P, CallOptions>
) => Promise<Result<OutputOf<P>, Reported<ErrorOf<P> | TransportError | RemoteDefect | UnknownError>>>

/** A procedure as a method of the Effect API. */
export type EffectMethod<P extends Procedure> = (
  ...args: Arguments<P, EffectCallOptions>
) => Effect.Effect<OutputOf<P>, FailureOf<P>>

/** The options of a subscription. It has no deadline. */
export type SubscriptionOptions = Pick<CallOptions, "signal">

/** A subscription in the Promise API. It ends when its result is final; leaving the loop cancels the server's work. */
export type SubscriptionMethod<P extends Procedure> = (
  ...args: Arguments<P, SubscriptionOptions>
) => AsyncIterable<OutputOf<P>>

/** A subscription in the safe API. A failure is the last result. */
export type SafeSubscriptionMethod<P extends Procedure> = (
  ...args: Arguments<P, SubscriptionOptions>
) => AsyncIterable<Result<OutputOf<P>, FailureOf<P>>>

/** A subscription in the Effect API. */
export type StreamMethod<P extends Procedure> = (
  ...args: Arguments<P, object>
) => Stream.Stream<OutputOf<P>, FailureOf<P>>

/** The item type of a paged procedure; `never` for any other. */
type ItemOf<P extends Procedure> = "cursor" extends keyof InputOf<P>
  ? "nextCursor" extends keyof OutputOf<P>
    ? OutputOf<P> extends { readonly items: ReadonlyArray<infer Item> }
      ? Item
      : never
    : never
  : never

/** `page` becomes `pages` and `items`; another name such as `history` becomes `historyPages` and `historyItems`. */
type PagesName<N extends string> = N extends "page" ? "pages" : `${N}Pages`
type ItemsName<N extends string> = N extends "page" ? "items" : `${N}Items`

/**
 * The name `A` for a paged procedure, and no method for any other. The methods below are mapped from the contract's own
 * keys, so that editors show its comments and lead to it.
 */
type IfPaged<P extends Procedure, A> = [ItemOf<P>] extends [never] ? never : A
type IfCall<P extends Procedure, N> = P["kind"] extends "subscription" ? never : N
type IfSubscription<P extends Procedure, N> = P["kind"] extends "subscription" ? N : never

type PageStreams<G extends Contract[string]> = {
  readonly [N in keyof G as IfPaged<G[N], PagesName<N & string>>]: (
    ...args: Arguments<G[N], EffectCallOptions>
  ) => Stream.Stream<OutputOf<G[N]>, FailureOf<G[N]>>
} & {
  readonly [N in keyof G as IfPaged<G[N], ItemsName<N & string>>]: (
    ...args: Arguments<G[N], EffectCallOptions>
  ) => Stream.Stream<ItemOf<G[N]>, FailureOf<G[N]>>
}

type PageMethods<G extends Contract[string]> = {
  readonly [N in keyof G as IfPaged<G[N], PagesName<N & string>>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => AsyncIterable<OutputOf<G[N]>>
} & {
  readonly [N in keyof G as IfPaged<G[N], ItemsName<N & string>>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => Items<ItemOf<G[N]>>
}

type SafePageMethods<G extends Contract[string]> = {
  readonly [N in keyof G as IfPaged<G[N], PagesName<N & string>>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => AsyncIterable<Result<OutputOf<G[N]>, FailureOf<G[N]>>>
} & {
  readonly [N in keyof G as IfPaged<G[N], ItemsName<N & string>>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => SafeItems<ItemOf<G[N]>, FailureOf<G[N]>>
}

/** What editors show for the methods that read all pages of a group. */
type PageDocumentsOf<G> = G extends keyof PageDocuments ? PageDocuments[G] : unknown

/** Methods that resolve with the output and reject with a declared error, `TransportError` or `RemoteDefect`. */
export type PromiseApi<C extends Contract> = {
  readonly [G in keyof C]: {
    readonly [N in keyof C[G] as IfCall<C[G][N], N>]: PromiseMethod<C[G][N]>
  } & PageMethods<C[G]> &
    PageDocumentsOf<G> & {
      readonly [N in keyof C[G] as IfSubscription<C[G][N], N>]: SubscriptionMethod<C[G][N]>
    }
}

/** Methods that resolve with a {@link Result} and reject only when their signal is aborted. */
export type SafeApi<C extends Contract> = {
  readonly [G in keyof C]: {
    readonly [N in keyof C[G] as IfCall<C[G][N], N>]: SafeMethod<C[G][N]>
  } & SafePageMethods<C[G]> &
    PageDocumentsOf<G> & {
      readonly [N in keyof C[G] as IfSubscription<C[G][N], N>]: SafeSubscriptionMethod<C[G][N]>
    }
}

/** Methods that return Effects with the procedure's exact errors. Interruption cancels the request and the server's work. */
export type EffectApi<C extends Contract> = {
  readonly [G in keyof C]: {
    readonly [N in keyof C[G] as IfCall<C[G][N], N>]: EffectMethod<C[G][N]>
  } & PageStreams<C[G]> &
    PageDocumentsOf<G> & {
      readonly [N in keyof C[G] as IfSubscription<C[G][N], N>]: StreamMethod<C[G][N]>
    }
}

/** Every procedure of a contract as a method, in three styles. */
export type ClientOf<C extends Contract> = PromiseApi<C> & {
  readonly safe: SafeApi<C>
  readonly effect: EffectApi<C>
}

/** The client of Holdfast. */
export type Client = ClientOf<HoldfastContract>

/** The inputs of every procedure, `Inputs["orders"]["create"]` for instance. */
export type Inputs = {
  readonly [G in keyof HoldfastContract]: {
    readonly [N in keyof HoldfastContract[G]]: HoldfastContract[G][N] extends Procedure
      ? InputOf<HoldfastContract[G][N]>
      : never
  }
}

/** The outputs of every procedure. */
export type Outputs = {
  readonly [G in keyof HoldfastContract]: {
    readonly [N in keyof HoldfastContract[G]]: HoldfastContract[G][N] extends Procedure
      ? OutputOf<HoldfastContract[G][N]>
      : never
  }
}

/** The failures of every procedure, as unions that are discriminated by `_tag`. */
export type Failures = {
  readonly [G in keyof HoldfastContract]: {
    readonly [N in keyof HoldfastContract[G]]: HoldfastContract[G][N] extends Procedure
      ? FailureOf<HoldfastContract[G][N]>
      : never
  }
}

/** Everything that a call of the client may reject with, except the reason of its own signal. */
export type HoldfastError = { [G in keyof Failures]: Failures[G][keyof Failures[G]] }[keyof Failures]
