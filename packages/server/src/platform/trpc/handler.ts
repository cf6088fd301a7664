import {
  type Contract,
  contract,
  type DecodedInputOf,
  type ErrorOf,
  type OutputOf,
  pathsOf,
  type Procedure,
  type Role,
  type SessionId,
  type UserId
} from "@holdfast/domain"
import { type Effect, Stream } from "effect"
import { traced } from "../telemetry/traces.ts"

/** The caller, as the verified access token names them. */
export interface Caller {
  readonly userId: UserId
  readonly role: Role
  readonly sessionId: SessionId
}

/** Where a request comes from. */
export interface RequestOrigin {
  /** The caller's IPv4 address or IPv6 network. */
  readonly address: string
  /** The header `user-agent`, or an empty text. */
  readonly userAgent: string
}

/** What a handler knows of the request besides its input. */
interface RequestInfo extends RequestOrigin {
  readonly requestId: string
  /** The caller makes one for each mutation and repeats it with every retry. */
  readonly idempotencyKey: string | undefined
  /** The last event that the subscriber received on an earlier connection. */
  readonly lastEventId: string | undefined
}

/** What a handler gets: the decoded input, the caller if the procedure requires one, the request. */
export interface Call<P extends Procedure> {
  readonly input: DecodedInputOf<P>
  readonly caller: P["access"] extends "public" ? undefined : Caller
  readonly request: RequestInfo
}

/** One answer of a subscription. A client that reconnects names the id of the last answer it received. */
export interface SubscriptionEvent<A> {
  readonly id: string
  readonly data: A
}

/** Implements one procedure. A failure that the contract does not declare does not compile. */
export type Handler<P extends Procedure, R> = (
  call: Call<P>
) => P["kind"] extends "subscription"
  ? Stream.Stream<SubscriptionEvent<OutputOf<P>>, ErrorOf<P>, R>
  : Effect.Effect<OutputOf<P>, ErrorOf<P>, R>

/** A handler for every procedure of a contract, in the contract's own shape. */
export type Handlers<C extends Contract, R> = {
  readonly [Group in keyof C]: { readonly [Name in keyof C[Group]]: Handler<C[Group][Name], R> }
}

const paths = pathsOf(contract)

/** The path of a procedure, `orders.create` for instance. Throws when the contract does not have the procedure. */
export const pathOf = (procedure: Procedure): string => {
  const path = paths.get(procedure)
  if (path === undefined) throw new Error("the procedure is not part of the contract")
  return path
}

/** Implements a procedure without an idempotency key: a query or an action. The path of the procedure names its span. */
export const query = <P extends Procedure<"query" | "action">, E extends ErrorOf<P>, R>(
  procedure: P,
  body: (call: Call<P>) => Effect.Effect<OutputOf<P>, E, R>
): ((call: Call<P>) => Effect.Effect<OutputOf<P>, E, R>) => {
  const path = pathOf(procedure)
  const inSpan = traced(path)
  return (call) => inSpan(body(call))
}

/** Implements a subscription. An answer with the id of the one before is dropped, also across reconnects. */
export const subscription =
  <P extends Procedure<"subscription">, E extends ErrorOf<P>, R>(
    _procedure: P,
    body: (call: Call<P>) => Stream.Stream<SubscriptionEvent<OutputOf<P>>, E, R>
  ): ((call: Call<P>) => Stream.Stream<SubscriptionEvent<OutputOf<P>>, E, R>) =>
  (call) =>
    body(call).pipe(
      Stream.mapAccum(
        () => call.request.lastEventId,
        (lastId, event) => [event.id, event.id === lastId ? [] : [event]] as const
      )
    )
