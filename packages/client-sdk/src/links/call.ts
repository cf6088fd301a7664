import { contract, pathsOf, type Procedure } from "@holdfast/domain"
import type { Operation as TrpcOperation, TRPCLink } from "@trpc/client"
import type { AnyTRPCRouter } from "@trpc/server"
import type { ResponseEvent } from "../hooks.ts"
import type { FetchResponse } from "../transport/responses.ts"

/** A link of Holdfast. It fits into the links of any tRPC client. */
export type HoldfastLink = TRPCLink<AnyTRPCRouter>

/** What a call may say in its tRPC `context`, `{ context: { idempotencyKey } }` for instance. */
export interface CallContext {
  /** The idempotency key of a mutation. Default: a new one for each call. */
  readonly idempotencyKey?: string
  /** Additional headers of the call's requests. A query with headers of its own is not batched. */
  readonly headers?: Readonly<Record<string, string>>
  /** How long the whole call may take, including retries, in milliseconds. */
  readonly timeoutMs?: number
  /** How many requests of the call may fail. */
  readonly maxAttempts?: number
  /** Called after every request of the call. */
  readonly onResponse?: (event: ResponseEvent) => unknown
}

/** What the links of one call share. */
export interface Call extends Omit<CallContext, "headers"> {
  headers?: CallContext["headers"]
  key: string | undefined
  /** The token to send, and the one that was sent: the calls of a batch share the last one. */
  token: string | undefined
  sentToken: string | undefined
  /** The id of the last request. */
  requestId: string | undefined
  /** Requests sent so far, and those that failed in a row as far as they count against `maxAttempts`. */
  attempts: number
  spent: number
  /** Whether the call waits for a token and has sent nothing for now. */
  isWaiting: boolean
  /** Whether a rejected token was renewed. */
  isRenewed: boolean
  /** The HTTP response of the answer. */
  response: Pick<FetchResponse, "status" | "headers"> | undefined
  /** Has the stack of the place that called. */
  readonly caller: { readonly stack?: string }
  /** The last event of a subscription, after which the next connection continues. */
  lastEventId: string | undefined
}

const CALL = "holdfast"

/** A new call with its options. */
export const newCall = (options: CallContext = {}, caller: Call["caller"] = {}): Call => ({
  ...options,
  caller,
  response: undefined,
  key: options.idempotencyKey,
  token: undefined,
  sentToken: undefined,
  requestId: undefined,
  attempts: 0,
  spent: 0,
  isWaiting: false,
  isRenewed: false,
  lastEventId: undefined
})

/** The context that carries a call through the links. */
export const contextOf = (call: Call): Record<string, unknown> => ({ [CALL]: call })

/** The call of an operation that has passed one of Holdfast's links. */
export const callOf = ({ context }: TrpcOperation): Call | undefined => context[CALL] as Call | undefined

/** Gives an operation its call, unless a link above has. The context of the caller is left as it is. */
export const entered = (op: TrpcOperation): { readonly op: TrpcOperation; readonly call: Call } => {
  const known = callOf(op)
  if (known !== undefined) return { op, call: known }
  const call = newCall(op.context)
  return { op: { ...op, context: { ...op.context, ...contextOf(call) } }, call }
}

/** Notes that a subscription's connection works. */
export const noteAlive = (call: Call): void => {
  call.spent = 0
  call.isRenewed = false
}

const procedures = new Map<string, Procedure>()

/** The contract's procedure at a path; `undefined` for a procedure of somebody else's router. */
export const procedureAt = (path: string): Procedure | undefined => {
  if (procedures.size === 0)
    for (const [procedure, name] of pathsOf(contract)) procedures.set(name, procedure)
  return procedures.get(path)
}
