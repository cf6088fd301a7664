import type { Schema } from "effect"
import { Forbidden, Unauthenticated } from "../errors/access.ts"
import type { DomainErrorClass } from "../errors/class.ts"
import { IdempotencyKeyReused, InvalidInput, ServiceUnavailable } from "../errors/requests.ts"

/** Who may call: anybody, a user with a valid token, or an administrator. */
export type Access = "public" | "user" | "admin"

/**
 * A query reads. A mutation writes, takes an idempotency key and has one definitive answer per key. An action writes
 * nothing that could happen twice (it makes a token, for instance), so it takes no key. A subscription is a query that
 * answers again whenever the answer changes, until there is nothing more to say.
 */
export type ProcedureKind = "query" | "mutation" | "action" | "subscription"

// oxlint-disable-next-line typescript/no-explicit-any -- the schema's own types are read from the concrete procedure
type AnySchema = Schema.Codec<any, any>

/** One procedure: everything that server, client and documents need to know of it. */
export interface Procedure<
  Kind extends ProcedureKind = ProcedureKind,
  Who extends Access = Access,
  Input extends AnySchema = AnySchema,
  Output extends AnySchema = AnySchema,
  Errors extends ReadonlyArray<DomainErrorClass> = ReadonlyArray<DomainErrorClass>
> {
  readonly kind: Kind
  readonly access: Who
  readonly summary: string
  readonly input: Input
  readonly output: Output
  readonly errors: Errors
}

/** Procedures by name, in groups: the tree that the routers mirror. */
export interface Contract {
  readonly [group: string]: { readonly [name: string]: Procedure }
}

/** What a caller passes: plain JSON, before any brand or date is made of it. */
export type InputOf<P extends Procedure> = P["input"]["Encoded"]
/** What a handler gets: validated and branded. */
export type DecodedInputOf<P extends Procedure> = P["input"]["Type"]
/** What a caller gets (from a subscription, again and again): dates are `Date`, money and ids are branded. */
export type OutputOf<P extends Procedure> = P["output"]["Type"]
/** Every error that the procedure declares, those of its kind and access included. */
export type ErrorOf<P extends Procedure> = InstanceType<P["errors"][number]>

interface Definition<
  Who extends Access,
  I extends AnySchema,
  O extends AnySchema,
  E extends ReadonlyArray<DomainErrorClass>
> {
  readonly access: Who
  readonly summary: string
  readonly input: I
  readonly output: O
  readonly errors: E
}

const accessErrors = { public: [], user: [Unauthenticated], admin: [Unauthenticated, Forbidden] } as const
const kindErrors = { query: [], mutation: [IdempotencyKeyReused], action: [], subscription: [] } as const
const commonErrors = [InvalidInput, ServiceUnavailable] as const

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
    definition: Definition<Who, I, O, E>
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

export const query = define("query")
export const mutation = define("mutation")
export const action = define("action")
export const subscription = define("subscription")
