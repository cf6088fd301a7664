import { InvalidInput, type DomainError, type Procedure } from "@holdfast/domain"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { RemoteDefect } from "./errors.ts"

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
  readonly decodeError: (error: WireError) => DomainError | RemoteDefect
}

/** Creates an operation. Its schemas are compiled at the first call, so that creating a client is cheap. */
export const makeOperation = (name: string, procedure: Procedure): Operation => {
  const decodeInput = once(() => Schema.decodeUnknownResult(procedure.input, { errors: "all" }))
  const decodeOutput = once(() => Schema.decodeUnknownResult(procedure.output))
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
    decodeOutput: (output) =>
      Result.mapError(decodeOutput()(output), (cause) =>
        unreadable(name, "the answer breaks the contract", cause)
      ),
    decodeError: (error) => {
      if (error.domain === undefined) return defect(name, error)
      const declared = decodeDeclared()(error.domain)
      return Result.isSuccess(declared)
        ? (declared.success as DomainError)
        : defect(name, error, declared.failure)
    }
  }
}

const once = <A>(make: () => A): (() => A) => {
  let made: A | undefined
  return () => (made ??= make())
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

const defect = (procedure: string, error: WireError, cause?: unknown) => {
  const { code, httpStatus, message, retryable, retryAfterMs } = error
  return new RemoteDefect({ procedure, code, httpStatus, retryable, retryAfterMs, detail: message, cause })
}

const unreadable = (procedure: string, detail: string, cause: unknown) =>
  new RemoteDefect({ procedure, code: "UNREADABLE_ANSWER", httpStatus: 200, retryable: false, detail, cause })
