import { type DomainError, type DomainErrorClass, InvalidInput, type Procedure } from "@holdfast/domain"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { RemoteDefect, UnknownError } from "./errors.ts"
import { once } from "./once.ts"
import { tolerant } from "./tolerant-schema.ts"

/** An error response. `domain` is the encoded tagged error if the procedure declares it. */
interface WireError {
  readonly message: string
  readonly code: string
  readonly httpStatus: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
  readonly domain: unknown
}

/** A procedure as the client runs it: its name and its codecs. */
export interface Operation {
  /** The dotted path, `orders.create` for instance. */
  readonly name: string
  readonly procedure: Procedure
  /** Returns the input as it will be sent, or the validation error. */
  readonly checkInput: (input: unknown) => Result.Result<unknown, InvalidInput>
  readonly decodeOutput: (output: unknown) => Result.Result<unknown, RemoteDefect>
  readonly decodeError: (error: WireError) => DomainError | RemoteDefect | UnknownError
}

/** Creates an operation. Its schemas are compiled at the first call, so that creating a client is cheap. */
export const makeOperation = (name: string, procedure: Procedure): Operation => {
  const decodeInput = once(() => Schema.decodeUnknownResult(procedure.input, { errors: "all" }))
  const decodeOutput = once(() => Schema.decodeUnknownResult(procedure.output))
  const decodeNewerOutput = once(() => Schema.decodeUnknownResult(tolerant(procedure.output)))
  const decodeDeclared = once(() => Schema.decodeUnknownResult(Schema.Union(procedure.errors)))

  return {
    name,
    procedure,
    checkInput: (input) => {
      if (Result.isSuccess(decodeInput()(input))) return Result.succeed(input)
      // JSON omits fields that are `undefined`, so the input is validated as it will be sent.
      const asSent = throughJson(input)
      return Result.mapBoth(decodeInput()(asSent), { onSuccess: () => asSent, onFailure: invalidInputOf })
    },
    decodeOutput: (output) => {
      const known = decodeOutput()(output)
      if (Result.isSuccess(known)) return Result.succeed(known.success)
      // The mutation is committed: what a newer server may answer must not look like its failure.
      return Result.mapError(decodeNewerOutput()(output), (cause) => unreadable(name, cause))
    },
    decodeError: (error) => {
      const { domain } = error
      if (!isTagged(domain)) return defect(name, error)
      const declared = decodeDeclared()(domain)
      if (Result.isSuccess(declared)) return declared.success as DomainError
      const errorClass = procedure.errors.find((candidate) => tagOf(candidate) === domain._tag)
      return errorClass === undefined
        ? unknownError(name, error, domain)
        : newerError(errorClass, error, domain)
    }
  }
}

interface Tagged {
  readonly _tag: string
  readonly [field: string]: unknown
}

const isTagged = (domain: unknown): domain is Tagged =>
  typeof domain === "object" && domain !== null && "_tag" in domain && typeof domain._tag === "string"

/** An error's class has the schemas of its fields. */
const fieldsOf = (errorClass: DomainErrorClass): Readonly<Record<string, Schema.Codec<unknown>>> =>
  (errorClass as unknown as { readonly fields: Readonly<Record<string, Schema.Codec<unknown>>> }).fields

const tagOf = (errorClass: DomainErrorClass): string =>
  (errorClass as unknown as { readonly identifier: string }).identifier

/** A declared error of a newer server, whose fields this version knows in part: it keeps its class and all of its fields. */
const newerError = (errorClass: DomainErrorClass, { retryable }: WireError, domain: Tagged): DomainError => {
  const decoded = Object.entries(fieldsOf(errorClass)).flatMap(([name, field]) => {
    const value = Schema.decodeUnknownResult(field)(domain[name])
    return Result.isSuccess(value) && name in domain ? [[name, value.success]] : []
  })
  const error = Object.setPrototypeOf(new Error(), errorClass.prototype as object) as DomainError
  return Object.assign(error, domain, Object.fromEntries(decoded), { retryable })
}

const unknownError = (
  procedure: string,
  error: WireError,
  { _tag: tag, ...fields }: Tagged
): UnknownError => {
  const { domain: _, message: detail, ...details } = error
  return new UnknownError({ procedure, tag, fields, detail, ...details })
}

const throughJson = (input: unknown): unknown => {
  const json = JSON.stringify(input)
  return json === undefined ? undefined : JSON.parse(json)
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Lists every issue with the path of its field, `lines[0].quantity` for instance, in the same words as the server. */
const invalidInputOf = ({ issue }: Schema.SchemaError): InvalidInput =>
  new InvalidInput({
    issues: formatIssues(issue).issues.map(({ message, path }) => ({
      path: (path ?? []).map((part) => (typeof part === "object" ? part.key : part)).reduce(appendPath, ""),
      message
    }))
  })

const appendPath = (path: string, part: PropertyKey): string => {
  if (typeof part === "number") return `${path}[${part}]`
  return path === "" ? String(part) : `${path}.${String(part)}`
}

const defect = (procedure: string, error: WireError) => {
  const { code, httpStatus, message, retryable, retryAfterMs } = error
  return new RemoteDefect({ procedure, code, httpStatus, retryable, retryAfterMs, detail: message })
}

const unreadable = (procedure: string, { message }: Schema.SchemaError) =>
  new RemoteDefect({
    procedure,
    code: "UNREADABLE_ANSWER",
    httpStatus: 200,
    retryable: false,
    detail: "the answer breaks the contract",
    cause: new Error(message)
  })
