import type { DomainError, DomainErrorClass, Procedure } from "@holdfast/domain"
import { InvalidInput } from "@holdfast/domain"
import type { TRPC_ERROR_CODE_KEY, TRPC_ERROR_CODE_NUMBER } from "@trpc/server"
import { Schema, SchemaIssue } from "effect"

/** The JSON of one procedure's declared errors. */
type EncodedErrorOf<P extends Procedure> = P["errors"][number]["Encoded"]

/** An error response: tRPC's shape with the declared error, encoded, under `data.domain`. */
export interface WireError<P extends Procedure> {
  readonly message: string
  readonly code: TRPC_ERROR_CODE_NUMBER
  readonly data: {
    readonly code: TRPC_ERROR_CODE_KEY
    readonly httpStatus: number
    readonly path?: string
    readonly requestId: string | undefined
    readonly retryable: boolean
    readonly retryAfterMs?: number
    readonly domain: EncodedErrorOf<P>
  }
}

/** Carries a declared error through tRPC's machinery to the procedure's formatter. */
export class Declared extends Error {
  readonly error: DomainError
  constructor(error: DomainError) {
    super(error._tag)
    this.error = error
  }
}

/** The class among the declared ones that this error belongs to. */
export const classOf = (
  errors: ReadonlyArray<DomainErrorClass>,
  error: unknown
): DomainErrorClass | undefined => errors.find((errorClass) => error instanceof errorClass)

/** Every problem of an input with the path of its field, `lines[0].quantity` for instance. */
export const invalidInputOf = (error: Schema.SchemaError): InvalidInput =>
  new InvalidInput({
    issues: formatIssues(error.issue).issues.map(({ message, path }) => ({
      path: (path ?? []).reduce<string>(
        (text, part) => appendPath(text, typeof part === "object" ? part.key : part),
        ""
      ),
      message
    }))
  })

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const appendPath = (text: string, part: PropertyKey): string =>
  typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`
