import {
  contract,
  groupSummaries,
  procedureSummaries,
  schemaDescriptions,
  type Procedure
} from "@holdfast/domain"
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import { errorExamples } from "../src/api-error-examples.ts"
import { examples } from "../src/api-examples.ts"
import type { JsonObject } from "../src/platform/http/json-schema.ts"
import { openApiOf } from "../src/platform/http/openapi.ts"

/** An operation of the document, its references resolved. */
export interface Operation {
  readonly path: string
  readonly method: "get" | "post"
  readonly operationId: string
  readonly security: ReadonlyArray<JsonObject>
  readonly parameters: ReadonlyArray<{
    readonly name: string
    readonly in: string
    readonly required: boolean
    readonly content?: JsonContent
  }>
  readonly requestBody?: { readonly content: JsonContent }
  readonly responses: { readonly [status: string]: Response }
  readonly procedure: Procedure
}

type JsonContent = {
  readonly "application/json": { readonly schema: JsonObject; readonly example?: unknown }
}

interface Response {
  readonly content: {
    readonly [type: string]: {
      readonly schema: JsonObject
      readonly example?: unknown
      readonly examples?: { readonly [name: string]: { readonly value: unknown } }
    }
  }
}

export const document = openApiOf(
  { contract, groupSummaries, procedureSummaries, schemaDescriptions, examples, errorExamples },
  "1.2.3"
)

const resolved = <A>(value: A): A => {
  const reference = (value as { readonly $ref?: string }).$ref
  if (reference === undefined) return value
  const [, , kind = "", name = ""] = reference.split("/")
  return document.components[kind]![name] as A
}

/** Every procedure by its path. */
export const procedures = new Map<string, Procedure>(
  Object.entries(contract).flatMap(([group, members]) =>
    Object.entries(members).map(([name, procedure]) => [`/trpc/${group}.${name}`, procedure] as const)
  )
)

export const operations: ReadonlyArray<Operation> = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, given]) => {
    const procedure = procedures.get(path)
    if (procedure === undefined) throw new Error(`${path} is no procedure`)
    const operation = given as unknown as Operation
    const responses = Object.entries(operation.responses).map(([status, response]) => [
      status,
      resolved(response)
    ])
    return {
      ...operation,
      path,
      method: method as Operation["method"],
      procedure,
      parameters: operation.parameters.map(resolved),
      responses: Object.fromEntries(responses) as Operation["responses"]
    }
  })
)

export const operationOf = (name: string): Operation => {
  const operation = operations.find(({ operationId }) => operationId === name)
  if (operation === undefined) throw new Error(`no operation ${name}`)
  return operation
}

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)
ajv.addSchema({ $id: "document", components: document.components })

const validators = new Map<string, ReturnType<typeof ajv.compile>>()

/** The faults of a value under a schema of the document; `undefined` when it is valid. */
export const faultsOf = (schema: JsonObject, value: unknown): unknown => {
  const text = JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/')
  const validate = validators.get(text) ?? ajv.compile(JSON.parse(text) as JsonObject)
  validators.set(text, validate)
  return validate(value) === true ? undefined : validate.errors
}
