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

/** What the response says of a declared error, beside its code, the path and the request. */
export const declaredDataOf = (errorClass: DomainErrorClass, error: DomainError) => ({
  retryable: error.retryable,
  ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  domain: Schema.encodeUnknownSync(errorClass)(error) as unknown
})

/** An answer names no more problems than a caller can mend at once, and repeats no more of an input than identifies it. */
const MAXIMUM_ISSUES = 100
const MAXIMUM_LETTERS = 200

/** A text of the caller's, or the beginning of a long one. */
export const abridged = (text: string): string =>
  text.length <= MAXIMUM_LETTERS ? text : `${text.slice(0, MAXIMUM_LETTERS).toWellFormed()}...`

/** The first problems of an input with the paths of their fields, `lines[0].quantity` for instance. */
export const invalidInputOf = (error: Schema.SchemaError): InvalidInput =>
  new InvalidInput({
    issues: formatIssues(firstOf(error.issue))
      .issues.slice(0, MAXIMUM_ISSUES)
      .map(({ message, path }) => ({
        path: abridged(
          (path ?? []).reduce<string>(
            (text, part) => appendPath(text, typeof part === "object" ? part.key : part),
            ""
          )
        ),
        message: abridged(message)
      }))
  })

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The issue with the first of many parts: making the texts of all of them takes longer than finding them. */
const firstOf = (issue: SchemaIssue.Issue): SchemaIssue.Issue => {
  if (issue._tag === "Pointer") return new SchemaIssue.Pointer(issue.path, firstOf(issue.issue))
  if (issue._tag !== "Composite") return issue
  const [first, ...others] = issue.issues.slice(0, MAXIMUM_ISSUES).map(firstOf)
  return new SchemaIssue.Composite(issue.ast, [first!, ...others])
}

const appendPath = (text: string, part: PropertyKey): string =>
  typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`
