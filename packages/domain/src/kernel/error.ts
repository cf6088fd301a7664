import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

/** The HTTP status that tRPC answers with for each error code. */
export const HTTP_STATUS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  PRECONDITION_FAILED: 412,
  UNPROCESSABLE_CONTENT: 422,
  TOO_MANY_REQUESTS: 429,
  SERVICE_UNAVAILABLE: 503
} as const

/** The error codes that travel with an error, as tRPC names them. */
export type ErrorCode = keyof typeof HTTP_STATUS

/**
 * What every error of the domain has in common. A retryable error may disappear when the same request is sent again
 * later; any other error is a definitive answer, which a repeated request receives again.
 */
export interface DomainError extends Error {
  readonly _tag: string
  readonly retryable: boolean
  readonly retryAfterMs?: number | undefined
}

/** A class of domain errors. It is a schema: the server encodes and the client decodes the same class. */
// oxlint-disable-next-line typescript/no-explicit-any -- constructors are contravariant in their arguments
export interface DomainErrorClass extends Schema.Codec<any, any> {
  readonly code: ErrorCode
  // oxlint-disable-next-line typescript/no-explicit-any
  new (...args: Array<any>): DomainError
}

/** The class that {@link domainError} returns and that an error extends. */
export interface DomainErrorBase<
  Self,
  Tag extends string,
  Fields extends Schema.Struct.Fields,
  Code extends ErrorCode,
  Retryable extends boolean
> extends Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError & {
    /** Whether the same request may be answered otherwise when it is sent again later. */
    readonly retryable: Retryable
  }
> {
  readonly code: Code
}

/** Where the engine is V8 it has a limit. */
const errors = Error as ErrorConstructor & { stackTraceLimit?: number | undefined }

/**
 * Defines an error of the domain as a tagged schema class:
 * `class SkuTaken extends domainError<SkuTaken>()("SkuTaken", { sku: Schema.String }, { code, message }) {}`.
 *
 * `code` is a static member, `message` computes the text from the fields, and `retryable` is false by default.
 */
export const domainError =
  <Self>() =>
  <
    const Tag extends string,
    const Fields extends Schema.Struct.Fields,
    const Code extends ErrorCode,
    const Retryable extends boolean = false
  >(
    tag: Tag,
    fields: Fields,
    definition: {
      readonly code: Code
      readonly retryable?: Retryable
      readonly message: (error: Schema.TaggedStruct<Tag, Fields>["Type"]) => string
    }
  ): DomainErrorBase<Self, Tag, Fields, Code, Retryable> => {
    const Tagged = Schema.TaggedError<DomainError>()(tag, fields as Schema.Struct.Fields)
    class Base extends Tagged {
      static readonly code = definition.code
      // An error of the domain is an answer. Its stack would say nothing and cost more than the rest of it.
      // @effect-diagnostics-next-line overriddenSchemaConstructor:off -- the arguments are the schema's own
      constructor(...args: ConstructorParameters<typeof Tagged>) {
        const limit = errors.stackTraceLimit
        errors.stackTraceLimit = 0
        super(...args)
        errors.stackTraceLimit = limit
      }
      readonly retryable = definition.retryable ?? false
      override get message() {
        return definition.message(this)
      }
    }
    return Base as never
  }

/** The request has no access token or an invalid one. The caller logs in or refreshes its session, then retries. */
export class Unauthenticated extends domainError<Unauthenticated>()(
  "Unauthenticated",
  {
    /** What is wrong with the token. */
    reason: Schema.Literals(["missing", "malformed", "invalid", "expired"])
  },
  { code: "UNAUTHORIZED", message: ({ reason }) => `the access token is ${reason}` }
) {}

/** The caller is authenticated but lacks the role that the procedure requires. */
export class Forbidden extends domainError<Forbidden>()(
  "Forbidden",
  {
    /** The role that the procedure requires. */
    requiredRole: Schema.String
  },
  { code: "FORBIDDEN", message: ({ requiredRole }) => `this needs the role ${requiredRole}` }
) {}

/** The input does not match the procedure's schema. Each issue names the field by its path. */
export class InvalidInput extends domainError<InvalidInput>()(
  "InvalidInput",
  {
    /** Everything that is wrong with the input. */
    issues: Schema.Array(
      Schema.Struct({
        /** The field, `lines[0].quantity` for instance; empty for the input as a whole. */
        path: Schema.String,
        /** What the field must be. */
        message: Schema.String
      })
    )
  },
  {
    code: "BAD_REQUEST",
    message: ({ issues }) =>
      issues.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
  }
) {}

/** The idempotency key was used before with a different input. A new request needs a new key. */
export class IdempotencyKeyReused extends domainError<IdempotencyKeyReused>()(
  "IdempotencyKeyReused",
  {
    /** The key that has an answer already. */
    idempotencyKey: Schema.String
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ idempotencyKey }) => `the idempotency key ${idempotencyKey} belongs to another input`
  }
) {}

/** The caller has as many open subscriptions as one caller may have. It ends one before it opens another. */
export class TooManySubscriptions extends domainError<TooManySubscriptions>()(
  "TooManySubscriptions",
  {
    /** The most that one caller may have open. */
    maximum: Schema.Int
  },
  {
    code: "TOO_MANY_REQUESTS",
    message: ({ maximum }) => `the caller has ${maximum} open subscriptions, and may have no more`
  }
) {}

/**
 * The caller has used up what it may do in a while: of one procedure, from one address, or with wrong passwords. `limit`
 * names the bound. The request took no effect; sent again after `retryAfterMs` it is answered.
 */
export class RateLimited extends domainError<RateLimited>()(
  "RateLimited",
  {
    /** Which bound is reached. */
    limit: Schema.Literals([
      "reads",
      "writes",
      "subscriptions",
      "address",
      "sign-ups",
      "wrong-passwords",
      "wrong-passwords-of-address"
    ]),
    /** When a retry may help, in milliseconds from now. */
    retryAfterMs: Schema.Int
  },
  {
    code: "TOO_MANY_REQUESTS",
    retryable: true,
    message: ({ limit, retryAfterMs }) =>
      `the limit of ${limit.replaceAll("-", " ")} is reached; try again in ${retryAfterMs} ms`
  }
) {}

/** A store is unreachable or overloaded. Retrying with the same idempotency key settles whether the request took effect. */
export class ServiceUnavailable extends domainError<ServiceUnavailable>()(
  "ServiceUnavailable",
  {
    /** When a retry may help, in milliseconds from now. */
    retryAfterMs: Schema.Int
  },
  {
    code: "SERVICE_UNAVAILABLE",
    retryable: true,
    message: ({ retryAfterMs }) => `the service is busy or out of reach; try again in ${retryAfterMs} ms`
  }
) {}
