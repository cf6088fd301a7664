import { type DomainError, type DomainErrorClass, HTTP_STATUS } from "@holdfast/domain"
import { TRPC_ERROR_CODES_BY_KEY } from "@trpc/server/rpc"
import { Schema } from "effect"
import { type JsonObject, type NamedSchemas, object } from "./json-schema.ts"

/** The error responses of one document. */
export interface ErrorResponses {
  /** The responses of an operation by status: errors that share a status differ in their tags. */
  readonly of: (errors: ReadonlyArray<DomainErrorClass>) => JsonObject
  /** The schema of `error` in any failure of a procedure with these errors. */
  readonly dataOf: (errors: ReadonlyArray<DomainErrorClass>) => JsonObject
  /** The responses that operations refer to, for `components.responses`. */
  readonly shared: () => JsonObject
}

/** Makes the error responses: one that is the only error of its status is shared by all operations. */
export const makeErrorResponses = (
  schemas: NamedSchemas,
  examples: ReadonlyArray<DomainError>
): ErrorResponses => {
  const shared = new Map<string, JsonObject>([["Undeclared", undeclaredResponse]])
  const responseOf = (status: number, errors: ReadonlyArray<DomainErrorClass>): JsonObject => {
    const tags = errors.map(tagOf)
    const found = examples.filter(({ _tag }) => tags.includes(_tag))
    const isRepeatable = errors.some((errorClass) => "retryAfterMs" in fieldsOf(errorClass))
    return {
      description: tags.join(", "),
      headers: {
        "x-request-id": { $ref: "#/components/headers/RequestId" },
        ...(isRepeatable ? { "retry-after": { $ref: "#/components/headers/RetryAfter" } } : {})
      },
      content: {
        "application/json": {
          schema: object({ error: declaredError(schemas, errors, status) }),
          ...(found.length === 0
            ? {}
            : { examples: Object.fromEntries(found.map((error) => [error._tag, exampleOf(error, errors)])) })
        }
      }
    }
  }
  return {
    of: (errors) => ({
      ...Object.fromEntries(
        [...Map.groupBy(errors, ({ code }) => HTTP_STATUS[code])].map(([status, classes]) => {
          const [only, ...others] = classes
          if (only === undefined || others.length > 0) return [status, responseOf(status, classes)]
          const tag = tagOf(only)
          if (!shared.has(tag)) shared.set(tag, responseOf(status, classes))
          return [status, { $ref: `#/components/responses/${tag}` }]
        })
      ),
      default: { $ref: "#/components/responses/Undeclared" }
    }),
    dataOf: (errors) => ({
      anyOf: [declaredError(schemas, errors), { $ref: "#/components/schemas/UndeclaredError" }]
    }),
    shared: () => Object.fromEntries([...shared].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}

const fieldsOf = (errorClass: DomainErrorClass) =>
  (errorClass as unknown as { readonly fields: { readonly [name: string]: Schema.Top } }).fields

const tagOf = (errorClass: DomainErrorClass): string =>
  (errorClass as unknown as { readonly identifier: string }).identifier

const declaredError = (
  schemas: NamedSchemas,
  errors: ReadonlyArray<DomainErrorClass>,
  status?: number
): JsonObject => {
  const references = errors.map((errorClass) => schemas.of(errorClass))
  const [first = {}] = references
  const domain =
    references.length === 1 ? first : { oneOf: references, discriminator: { propertyName: "_tag" } }
  const data = {
    code: { type: "string", enum: [...new Set(errors.map(({ code }) => code))] },
    httpStatus: { type: "integer", ...(status === undefined ? {} : { const: status }) },
    requestId,
    retryable: { type: "boolean" },
    domain
  }
  return object({
    message,
    code: number,
    data: {
      ...object(data),
      properties: { ...data, path, retryAfterMs: { type: "integer" } }
    }
  })
}

const message = { type: "string", description: "For people; it may change." }
const number = { type: "integer", description: "tRPC's number of `data.code`." }
const requestId = { type: "string", description: "Names the request in the server's log." }
const path = { type: "string", description: "The procedure." }

/** The value of `error` of an error that no procedure declares. */
export const UNDECLARED: JsonObject = {
  ...object({
    message,
    code: number,
    data: {
      ...object({ code: { type: "string" }, httpStatus: { type: "integer" }, requestId }),
      properties: { code: { type: "string" }, httpStatus: { type: "integer" }, requestId, path }
    }
  }),
  description:
    "The error of a request that this document does not describe, or a defect of the server without its cause."
}

const undeclaredResponse: JsonObject = {
  description: "A request that this document does not describe, or a defect of the server.",
  headers: { "x-request-id": { $ref: "#/components/headers/RequestId" } },
  content: {
    "application/json": { schema: object({ error: { $ref: "#/components/schemas/UndeclaredError" } }) }
  }
}

const exampleOf = (error: DomainError, errors: ReadonlyArray<DomainErrorClass>): JsonObject => {
  const errorClass = errors.find((candidate) => tagOf(candidate) === error._tag)!
  const { code } = errorClass
  const domain = Schema.encodeUnknownSync(errorClass)(error) as JsonObject
  const { retryAfterMs, retryable } = error
  const data = {
    code,
    httpStatus: HTTP_STATUS[code],
    requestId: "0192f0c1-8a4e-7b3d-9c55-2f6d1e0a7b44",
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    domain
  }
  return {
    summary: error.message,
    value: { error: { message: error.message, code: TRPC_ERROR_CODES_BY_KEY[code], data } }
  }
}
