import {
  type Contract,
  type DomainError,
  type DomainErrorClass,
  InvalidInput,
  type Procedure,
  ServiceUnavailable
} from "@holdfast/domain"
import { collectSchemas, type JsonObject, type NamedSchemas, object } from "./json-schema.ts"
import { type ErrorResponses, makeErrorResponses, UNDECLARED } from "./openapi-errors.ts"

export interface OpenApiDocument {
  readonly openapi: "3.1.1"
  readonly info: JsonObject & { readonly title: string; readonly version: string }
  readonly servers: ReadonlyArray<{ readonly url: string }>
  readonly tags: ReadonlyArray<{ readonly name: string; readonly description: string }>
  readonly paths: { readonly [path: string]: { readonly get?: JsonObject; readonly post?: JsonObject } }
  readonly components: { readonly schemas: JsonObject; readonly [kind: string]: JsonObject }
}

/** What the document says of an application. */
export interface ApiDescription {
  readonly contract: Contract
  /** What the procedures of each group are for. */
  readonly groupSummaries: { readonly [group: string]: string }
  /** What each procedure does, by its path. */
  readonly procedureSummaries: { readonly [path: string]: string }
  /** What each schema with an identifier holds. */
  readonly schemaDescriptions: { readonly [identifier: string]: string }
  /** A call of each procedure: its input and its output as JSON. */
  readonly examples: {
    readonly [group: string]: {
      readonly [name: string]: { readonly input: unknown; readonly output: unknown }
    }
  }
  /** An example of each declared error. */
  readonly errorExamples: ReadonlyArray<DomainError>
}

const DESCRIPTION = `Every call is a plain HTTP request, in the format of tRPC 11.

- A query is a GET request with its input as JSON text in the query parameter \`input\`; everything else that is answered once
  is a POST request with its input as a JSON body.
- An answer is under \`result.data\`.
- An error's own fields are under \`error.data.domain\`, told apart by \`_tag\`. \`error.data.retryable\` says whether the same
  request may succeed later, and \`retry-after\` when.
- Send an \`idempotency-key\` with every mutation and repeat it with every retry: each key has one answer.
- A subscription is a GET request that is answered with server-sent events.`

/**
 * The OpenAPI 3.1 document of a contract, for callers without TypeScript: tRPC calls as plain HTTP requests, derived
 * from the schemas that decode and encode them.
 *
 * @param version of the server
 * @returns the document; its only server is the one that serves it
 */
export const openApiOf = (api: ApiDescription, version: string): OpenApiDocument => {
  const schemas = collectSchemas(api.schemaDescriptions)
  const errors = makeErrorResponses(schemas, api.errorExamples)
  const operations = Object.entries(api.contract).flatMap(([group, procedures]) =>
    Object.entries(procedures).map(([name, procedure]) => {
      const example = api.examples[group]?.[name]
      const path = `${group}.${name}`
      const summary = api.procedureSummaries[path] ?? path
      return [
        `/trpc/${path}`,
        pathItem({ group, name: path, procedure, summary, example, schemas, errors })
      ] as const
    })
  )
  return {
    openapi: "3.1.1",
    info: {
      title: "Holdfast",
      version,
      summary: "A commerce core that stays exact under any concurrency.",
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" }
    },
    servers: [{ url: "/" }],
    tags: Object.keys(api.contract).map((name) => ({ name, description: api.groupSummaries[name] ?? name })),
    paths: Object.fromEntries(operations),
    components: {
      schemas: { ...schemas.all(), UndeclaredError: UNDECLARED },
      responses: errors.shared(),
      parameters: { IdempotencyKey: idempotencyKey, LastEventId: lastEventId },
      headers: { RequestId: requestIdHeader, RetryAfter: retryAfterHeader },
      securitySchemes: {
        accessToken: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "`auth.login` issues it."
        }
      }
    }
  }
}

interface Operation {
  readonly group: string
  readonly name: string
  readonly procedure: Procedure
  readonly summary: string
  readonly example: { readonly input: unknown; readonly output: unknown } | undefined
  readonly schemas: NamedSchemas
  readonly errors: ErrorResponses
}

const pathItem = (operation: Operation) => {
  const { errors, example, group, name, procedure, schemas, summary } = operation
  const input = { "application/json": { schema: schemas.of(procedure.input), ...exampleOf(example?.input) } }
  const common = {
    operationId: name,
    tags: [group],
    summary: summary.split(/(?<=\.) /, 1)[0]!.replace(/\.$/, ""),
    description: summary,
    security: procedure.access === "public" ? [] : [{ accessToken: [] }]
  }
  if (procedure.kind === "subscription") {
    const responses = { "200": streamResponse(operation), ...errors.of(beforeTheStream(procedure)) }
    return {
      get: {
        ...common,
        parameters: [inputParameter(input), reference("parameters", "LastEventId")],
        responses
      }
    }
  }
  const responses = { "200": answerResponse(operation), ...errors.of(procedure.errors) }
  if (procedure.kind === "query")
    return { get: { ...common, parameters: [inputParameter(input)], responses } }
  const parameters = procedure.kind === "mutation" ? [reference("parameters", "IdempotencyKey")] : []
  return { post: { ...common, parameters, requestBody: { required: true, content: input }, responses } }
}

const reference = (kind: "parameters" | "headers", name: string): JsonObject => ({
  $ref: `#/components/${kind}/${name}`
})

const exampleOf = (example: unknown): JsonObject =>
  example === undefined ? {} : { example: example as JsonObject }

const inputParameter = (content: {
  readonly "application/json": { readonly schema: JsonObject }
}): JsonObject => {
  const isRequired = "required" in content["application/json"].schema
  return {
    name: "input",
    in: "query",
    required: isRequired,
    description: `The input as JSON text, escaped for a URL${isRequired ? "" : "; it may be left out"}.`,
    content
  }
}

const idempotencyKey: JsonObject = {
  name: "idempotency-key",
  in: "header",
  required: false,
  description: "Text that identifies this request, a UUID for instance. Retries with it get the same answer.",
  schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[\\x21-\\x7e]+$" },
  example: "9b2f6c1e-5d0a-4f0b-8f5e-0a6c2f1d7e34"
}

const lastEventId: JsonObject = {
  name: "last-event-id",
  in: "header",
  required: false,
  description: "The id of the last event received over an earlier connection: the stream continues after it.",
  schema: { type: "string" }
}

const requestIdHeader: JsonObject = {
  description: "Names the request in the server's log.",
  schema: { type: "string" }
}

const retryAfterHeader: JsonObject = {
  description: "After how many seconds the request may be repeated.",
  schema: { type: "integer", minimum: 1 }
}

const headers: JsonObject = { "x-request-id": reference("headers", "RequestId") }

const answerResponse = ({ example, procedure, schemas }: Operation): JsonObject => ({
  description: "The answer.",
  headers,
  content: {
    "application/json": {
      schema: object({ result: object({ data: schemas.of(procedure.output) }) }),
      ...(example === undefined ? {} : exampleOf({ result: { data: example.output } }))
    }
  }
})

const streamResponse = ({ errors, example, procedure, schemas }: Operation): JsonObject => ({
  description: `Server-sent events. Their data is JSON:

- An event without a name is an answer; its id is the place to resume from.
- \`serialized-error\` has what is under \`error\` in other failed responses. It is the last event.
- \`return\` ends the stream.
- \`connected\` and \`ping\` only show that the connection is alive.`,
  headers,
  content: {
    "text/event-stream": {
      schema: {
        type: "string",
        contentMediaType: "text/event-stream",
        contentSchema: {
          type: "array",
          items: eventOf(schemas.of(procedure.output), errors.dataOf(procedure.errors))
        }
      },
      ...(example === undefined
        ? {}
        : exampleOf(`data: ${JSON.stringify(example.output)}\nid: 1\n\nevent: return\ndata:\n\n`))
    }
  }
})

const eventOf = (answer: JsonObject, error: JsonObject): JsonObject => ({
  anyOf: [
    object({ id: { type: "string" }, data: answer }),
    object({ event: { type: "string", const: "serialized-error" }, data: error }),
    object({ event: { type: "string", enum: ["connected", "ping", "return"] } })
  ]
})

/** The errors of a subscription that are statuses: those of requests that no procedure has seen. */
const beforeTheStream = ({ errors }: Procedure): ReadonlyArray<DomainErrorClass> =>
  errors.filter((errorClass) => errorClass === InvalidInput || errorClass === ServiceUnavailable)
