import type * as Schema from "effect/Schema"
import {
  type DomainErrorClass,
  Forbidden,
  IdempotencyKeyReused,
  InvalidInput,
  RateLimited,
  ServiceUnavailable,
  TooManySubscriptions,
  Unauthenticated
} from "./error.ts"

/** Who may call a procedure: everyone, an authenticated user, or an administrator. */
export type Access = "public" | "user" | "admin"

/**
 * - `query`: reads.
 * - `mutation`: writes under an idempotency key and has one definitive answer per key.
 * - `action`: has no effect worth protecting from repetition (it issues a token, for instance), so it takes no key.
 * - `subscription`: a query that answers again whenever its result changes, until the result is final.
 */
export type ProcedureKind = "query" | "mutation" | "action" | "subscription"

// oxlint-disable-next-line typescript/no-explicit-any -- the concrete procedure carries the schema's own types
type AnySchema = Schema.Codec<any, any>

/**
 * Everything that the server and the client know about one procedure. What it does is said by the comment above it, which
 * editors show and `procedureSummaries` repeats for documents, so that no page carries the text.
 */
export interface Procedure<
  Kind extends ProcedureKind = ProcedureKind,
  Who extends Access = Access,
  Input extends AnySchema = AnySchema,
  Output extends AnySchema = AnySchema,
  Errors extends ReadonlyArray<DomainErrorClass> = ReadonlyArray<DomainErrorClass>
> {
  readonly kind: Kind
  readonly access: Who
  readonly input: Input
  readonly output: Output
  readonly errors: Errors
  /** The largest body of a request, in bytes. {@link REQUEST_BOUNDS} has the default. */
  readonly maximumBytes?: number
  /** Since when the procedure is deprecated, and what to call instead. The server tells its callers in headers. */
  readonly deprecated?: { readonly since: Date; readonly instead: string }
  /** False for a procedure that travels alone, because one call of it is as costly as many of others. Default true. */
  readonly batchable?: boolean
  /** Which limit its calls count for. Default: `reads`, `writes` or `subscriptions`, by the kind. */
  readonly rate?: "sign-ups"
}

/** What one HTTP request may hold: the bytes of its body unless the procedure says more, and the calls of a batch. */
export const REQUEST_BOUNDS = { bytes: 64 * 1024, calls: 20 } as const

/**
 * The major version of the contract, which client and server send with every request and answer in this header. Within one
 * version the contract only grows.
 */
export const API_VERSION = { header: "holdfast-api-version", number: "1" } as const

/** Procedures by group and name. */
export interface Contract {
  readonly [group: string]: { readonly [name: string]: Procedure }
}

/** What a caller passes: plain JSON, before decoding. */
export type InputOf<P extends Procedure> = P["input"]["Encoded"]
/** What a handler receives: the validated, decoded input. */
export type DecodedInputOf<P extends Procedure> = P["input"]["Type"]
/** What a caller receives, repeatedly from a subscription: dates are `Date`, money and ids are branded. */
export type OutputOf<P extends Procedure> = P["output"]["Type"]
/** Every error that the procedure declares, including those implied by its kind and access. */
export type ErrorOf<P extends Procedure> = InstanceType<P["errors"][number]>

const accessErrors = { public: [], user: [Unauthenticated], admin: [Unauthenticated, Forbidden] } as const
const kindErrors = {
  query: [],
  mutation: [IdempotencyKeyReused],
  action: [],
  subscription: [TooManySubscriptions]
} as const
const commonErrors = [InvalidInput, RateLimited, ServiceUnavailable] as const

type AllErrors<
  Kind extends ProcedureKind,
  Who extends Access,
  E extends ReadonlyArray<DomainErrorClass>
> = readonly [...E, ...(typeof accessErrors)[Who], ...(typeof kindErrors)[Kind], ...typeof commonErrors]

const define =
  <const Kind extends ProcedureKind>(kind: Kind) =>
  <
    const Who extends Access,
    I extends AnySchema,
    O extends AnySchema,
    const E extends ReadonlyArray<DomainErrorClass>
  >(
    definition: Omit<Procedure<Kind, Who, I, O, E>, "kind">
  ): Procedure<Kind, Who, I, O, AllErrors<Kind, Who, E>> => ({
    ...definition,
    kind,
    errors: [
      ...definition.errors,
      ...accessErrors[definition.access],
      ...kindErrors[kind],
      ...commonErrors
    ] as AllErrors<Kind, Who, E>
  })

/** Defines a query. */
export const query = define("query")
/** Defines a mutation. */
export const mutation = define("mutation")
/** Defines an action. */
export const action = define("action")
/** Defines a subscription. */
export const subscription = define("subscription")

/** Maps each procedure of a contract to its path, the name that it has on the wire: `orders.create`, for instance. */
export const pathsOf = (contract: Contract): ReadonlyMap<Procedure, string> =>
  new Map(
    Object.entries(contract).flatMap(([group, procedures]) =>
      Object.entries(procedures).map(([name, procedure]) => [procedure, `${group}.${name}`] as const)
    )
  )
