import type { Contract, ErrorOf, HoldfastContract, InputOf, OutputOf, Procedure } from "@holdfast/domain"
import type { Effect, Stream } from "effect"
import type { RemoteDefect, Reported, TransportError } from "./errors.ts"
import type { ResponseEvent } from "./hooks.ts"

/** What a call may be told. */
export interface EffectCallOptions {
  /** How long the whole call may take, its retries included. */
  readonly timeoutMs?: number
  /** How many requests of the call may fail; 1: no retries. */
  readonly maxAttempts?: number
  /** More headers, over those of the client. A query that has some travels in a request of its own. */
  readonly headers?: Readonly<Record<string, string>>
  /** Told of every request of this call, as the client's `onResponse` is: its id, duration and error. Must not throw. */
  readonly onResponse?: (event: ResponseEvent) => void
}

/** What a call of the Promise API may be told. */
export interface CallOptions extends EffectCallOptions {
  /** Aborting it cancels the request and the server's work; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What makes a mutation happen once: the client makes a key for every call, unless it is given one. */
export interface IdempotencyOption {
  /** 1 to 255 visible characters. The same key again gets the same answer, also from another process or a day later. */
  readonly idempotencyKey?: string
}

/** Every way in which a call of the procedure may fail: its declared errors, no answer, an undeclared answer. */
export type FailureOf<P extends Procedure> = Reported<ErrorOf<P> | TransportError | RemoteDefect>

/** An answer as a value. */
export type Result<A, E> =
  | { readonly ok: true; readonly value: A }
  | { readonly ok: false; readonly error: E }

type OptionsOf<P extends Procedure, Base> = P["kind"] extends "mutation" ? Base & IdempotencyOption : Base

/** An empty input takes no fields, so that options never land in its place. */
type GivenInput<P extends Procedure> = keyof InputOf<P> extends never ? Record<string, never> : InputOf<P>

type Arguments<P extends Procedure, Options> =
  Record<string, never> extends GivenInput<P>
    ? [input?: GivenInput<P>, options?: OptionsOf<P, Options>]
    : [input: GivenInput<P>, options?: OptionsOf<P, Options>]

export type PromiseMethod<P extends Procedure> = (...args: Arguments<P, CallOptions>) => Promise<OutputOf<P>>

export type SafeMethod<P extends Procedure> = (
  ...args: Arguments<P, CallOptions>
) => Promise<Result<OutputOf<P>, FailureOf<P>>>

export type EffectMethod<P extends Procedure> = (
  ...args: Arguments<P, EffectCallOptions>
) => Effect.Effect<OutputOf<P>, FailureOf<P>>

/** What a subscription may be told: it lasts until it ends, so there is no deadline. */
export type SubscriptionOptions = Pick<CallOptions, "signal">

/** Ends when the server has nothing more to say; leaving the loop ends the server's work. */
export type SubscriptionMethod<P extends Procedure> = (
  ...args: Arguments<P, SubscriptionOptions>
) => AsyncIterable<OutputOf<P>>

/** A failure is the last result. */
export type SafeSubscriptionMethod<P extends Procedure> = (
  ...args: Arguments<P, SubscriptionOptions>
) => AsyncIterable<Result<OutputOf<P>, FailureOf<P>>>

export type StreamMethod<P extends Procedure> = (
  ...args: Arguments<P, object>
) => Stream.Stream<OutputOf<P>, FailureOf<P>>

/** The item of a procedure that answers in pages; `never` for any other. */
type ItemOf<P extends Procedure> = "cursor" extends keyof InputOf<P>
  ? "nextCursor" extends keyof OutputOf<P>
    ? OutputOf<P> extends { readonly items: ReadonlyArray<infer Item> }
      ? Item
      : never
    : never
  : never

type PagedNames<G> = {
  [N in keyof G]: G[N] extends Procedure ? ([ItemOf<G[N]>] extends [never] ? never : N) : never
}[keyof G] &
  string

/** `page` becomes `pages` and `items`; any other name, `history` for instance, `historyPages` and `historyItems`. */
type PagesName<N extends string> = N extends "page" ? "pages" : `${N}Pages`
type ItemsName<N extends string> = N extends "page" ? "items" : `${N}Items`

type PageStreams<G extends Contract[string]> = {
  readonly [N in PagedNames<G> as PagesName<N>]: (
    ...args: Arguments<G[N], EffectCallOptions>
  ) => Stream.Stream<OutputOf<G[N]>, FailureOf<G[N]>>
} & {
  readonly [N in PagedNames<G> as ItemsName<N>]: (
    ...args: Arguments<G[N], EffectCallOptions>
  ) => Stream.Stream<ItemOf<G[N]>, FailureOf<G[N]>>
}

type PageMethods<G extends Contract[string]> = {
  readonly [N in PagedNames<G> as PagesName<N>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => AsyncIterable<OutputOf<G[N]>>
} & {
  readonly [N in PagedNames<G> as ItemsName<N>]: (
    ...args: Arguments<G[N], CallOptions>
  ) => AsyncIterable<ItemOf<G[N]>>
}

/** The procedures that answer once. */
type CallNames<G extends Contract[string]> = {
  [N in keyof G]: G[N]["kind"] extends "subscription" ? never : N
}[keyof G]

/** The procedures that answer again and again. */
type SubscriptionNames<G extends Contract[string]> = {
  [N in keyof G]: G[N]["kind"] extends "subscription" ? N : never
}[keyof G]

/** Resolves with the output, rejects with the declared class, `TransportError` or `RemoteDefect`. */
export type PromiseApi<C extends Contract> = {
  readonly [G in keyof C]: { readonly [N in CallNames<C[G]>]: PromiseMethod<C[G][N]> } & PageMethods<C[G]> & {
      readonly [N in SubscriptionNames<C[G]>]: SubscriptionMethod<C[G][N]>
    }
}

/** Resolves with a {@link Result}. Rejects only when its own signal is aborted. */
export type SafeApi<C extends Contract> = {
  readonly [G in keyof C]: { readonly [N in CallNames<C[G]>]: SafeMethod<C[G][N]> } & {
    readonly [N in SubscriptionNames<C[G]>]: SafeSubscriptionMethod<C[G][N]>
  }
}

/** Effects with the exact errors of their procedure. Interrupting one cancels the request and the server's work. */
export type EffectApi<C extends Contract> = {
  readonly [G in keyof C]: { readonly [N in CallNames<C[G]>]: EffectMethod<C[G][N]> } & PageStreams<C[G]> & {
      readonly [N in SubscriptionNames<C[G]>]: StreamMethod<C[G][N]>
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

/** The failures of every procedure, as unions to switch over by `_tag`. */
export type Failures = {
  readonly [G in keyof HoldfastContract]: {
    readonly [N in keyof HoldfastContract[G]]: HoldfastContract[G][N] extends Procedure
      ? FailureOf<HoldfastContract[G][N]>
      : never
  }
}

/** Everything that a call of Holdfast's client may reject with, save the reason of its own signal. */
export type HoldfastError = { [G in keyof Failures]: Failures[G][keyof Failures[G]] }[keyof Failures]
