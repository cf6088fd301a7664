import { type Contract, type DomainErrorClass, HTTP_STATUS, type Procedure } from "@holdfast/domain"
import scalar from "@scalar/fastify-api-reference"
import { Schema } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { createHash } from "node:crypto"

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export interface OpenApiDocument {
  readonly openapi: "3.1.1"
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly servers: ReadonlyArray<{ readonly url: string }>
  readonly tags: ReadonlyArray<{ readonly name: string }>
  readonly paths: { readonly [path: string]: { readonly get?: JsonObject; readonly post?: JsonObject } }
  readonly components: { readonly schemas: JsonObject; readonly securitySchemes: JsonObject }
}

const DESCRIPTION = [
  "Queries are GET requests whose input is JSON in the query string; everything else is a POST request with JSON.",
  "An answer is under `result.data`. An error's own fields are under `error.data.domain`, told apart by `_tag`;",
  "`error.data.retryable` says whether the same request may succeed later.",
  "Send an `idempotency-key` with every mutation and repeat it with every retry: each key has one answer."
].join(" ")

/**
 * Serves the document at `/openapi.json`, and a page at `/docs` to read it and to try the calls. All of them are made once:
 * their answers share the same bytes, however many callers ask and however slowly they read.
 */
export const addApiReference = async (app: FastifyInstance, document: OpenApiDocument): Promise<void> => {
  const page = Fastify()
  await page.register(scalar, {
    routePrefix: "/docs",
    configuration: { url: "/openapi.json", title: "Holdfast API", telemetry: false, withDefaultFonts: false }
  })
  for (const path of ["/docs/", "/docs/js/scalar.js"]) {
    const { headers, rawPayload } = await page.inject(path)
    addDocument(app, path, String(headers["content-type"]), rawPayload)
  }
  await page.close()
  app.get("/docs", (_request, reply) => reply.redirect("/docs/", 301))
  addDocument(app, "/openapi.json", "application/json; charset=utf-8", Buffer.from(JSON.stringify(document)))
}

/** Serves bytes that never change while the process lives. */
const addDocument = (app: FastifyInstance, path: string, contentType: string, bytes: Buffer): void => {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`
  app.get(path, (request, reply) => {
    reply.header("etag", etag).header("cache-control", "no-cache")
    const isKnown = knownTags(request.headers["if-none-match"]).some((tag) => tag === etag || tag === "*")
    if (isKnown) return reply.code(304).send()
    return reply.type(contentType).send(bytes)
  })
}

/** A proxy that compresses an answer makes its tag a weak one. */
const knownTags = (header: string | undefined): ReadonlyArray<string> =>
  header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []

/**
 * The OpenAPI 3.1 document of a contract, for callers without TypeScript: tRPC calls as plain HTTP requests, derived
 * from the schemas that decode and encode them.
 *
 * @param contract all procedures
 * @param version of the server
 * @returns the document; its only server is the one that serves it
 */
export const openApiOf = (contract: Contract, version: string): OpenApiDocument => {
  const operations = Object.entries(contract).flatMap(([group, procedures]) =>
    Object.entries(procedures).map(([name, procedure]) => ({ group, path: `${group}.${name}`, procedure }))
  )
  const errorClasses = operations.flatMap(({ procedure }) => procedure.errors)
  return {
    openapi: "3.1.1",
    info: { title: "Holdfast", version, description: DESCRIPTION },
    servers: [{ url: "/" }],
    tags: Object.keys(contract).map((name) => ({ name })),
    paths: Object.fromEntries(
      operations.map(({ group, path, procedure }) => [`/trpc/${path}`, pathItem(group, path, procedure)])
    ),
    components: {
      schemas: { ...Object.fromEntries(errorClasses.map(errorComponent)), Defect: defectSchema },
      securitySchemes: { accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" } }
    }
  }
}

const pathItem = (group: string, operationId: string, procedure: Procedure) => {
  const operation = {
    operationId,
    tags: [group],
    summary: procedure.summary,
    ...(procedure.access === "public" ? {} : { security: [{ accessToken: [] }] }),
    responses: { "200": success(procedure), ...failures(procedure.errors) }
  }
  if (procedure.kind === "query") return { get: { ...operation, parameters: [inputParameter(procedure)] } }
  if (procedure.kind === "subscription")
    return { get: { ...operation, parameters: [inputParameter(procedure), lastEventIdParameter] } }
  const parameters = procedure.kind === "mutation" ? [idempotencyKeyParameter] : []
  const requestBody = { required: true, content: jsonContent(jsonSchemaOf(procedure.input)) }
  return { post: { ...operation, parameters, requestBody } }
}

const inputParameter = ({ input }: Procedure): JsonObject => ({
  name: "input",
  in: "query",
  required: true,
  description: "The input as JSON text.",
  content: jsonContent(jsonSchemaOf(input))
})

const lastEventIdParameter: JsonObject = {
  name: "last-event-id",
  in: "header",
  required: false,
  description: "The id of the last event received over an earlier connection: the stream continues after it.",
  schema: { type: "string" }
}

const idempotencyKeyParameter: JsonObject = {
  name: "idempotency-key",
  in: "header",
  required: false,
  description: "Text that identifies this request, a UUID for instance. Retries with it get the same answer.",
  schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[\\x21-\\x7e]+$" }
}

const success = (procedure: Procedure): JsonObject => {
  const output = jsonSchemaOf(procedure.output)
  if (procedure.kind !== "subscription")
    return { description: "The answer.", content: jsonContent(object({ result: object({ data: output }) })) }
  return {
    description: [
      "Server-sent events; the data of each message is an answer as JSON, and its id the place to resume from.",
      "`serialized-error` carries the value of `error` of a failed response, and is the last event;",
      "`return` ends the stream; `ping` only shows that the connection is alive."
    ].join(" "),
    content: { "text/event-stream": { schema: { type: "string" }, itemSchema: output } }
  }
}

/** One response a status; errors that share a status differ in their tags. */
const failures = (errors: ReadonlyArray<DomainErrorClass>): JsonObject => {
  const byStatus = Map.groupBy(errors, ({ code }) => HTTP_STATUS[code])
  const declared = [...byStatus].map(([status, classes]) => {
    const tags = classes.map((errorClass) => errorComponent(errorClass)[0])
    const domain = tags.map((tag) => ({ $ref: `#/components/schemas/${tag}` }))
    return [
      String(status),
      { description: tags.join(", "), content: jsonContent(errorResponse({ oneOf: domain })) }
    ]
  })
  const defect = { description: "A defect.", content: jsonContent({ $ref: "#/components/schemas/Defect" }) }
  return { ...Object.fromEntries(declared), default: defect } as JsonObject
}

const object = (properties: JsonObject): JsonObject => ({
  type: "object",
  properties,
  required: Object.keys(properties)
})

const details = {
  code: { type: "string" },
  httpStatus: { type: "integer" },
  path: { type: "string" },
  requestId: { type: "string", description: "Names the request in the server's log." }
}

const envelope = (data: JsonObject): JsonObject =>
  object({ error: object({ message: { type: "string" }, code: { type: "integer" }, data }) })

const errorResponse = (domain: JsonObject): JsonObject =>
  envelope({
    type: "object",
    properties: { ...details, retryable: { type: "boolean" }, retryAfterMs: { type: "integer" }, domain },
    required: ["code", "httpStatus", "retryable", "domain"]
  })

/** Undeclared errors: a masked defect of the server, or a request that this document does not describe. */
const defectSchema = envelope({ type: "object", properties: details, required: ["code", "httpStatus"] })

/** The component of an error class: its tag and its JSON Schema. */
const errorComponent = (errorClass: DomainErrorClass): readonly [tag: string, schema: JsonObject] => {
  const schema = jsonSchemaOf(errorClass)
  const tag = (schema as { readonly properties: { readonly _tag: { readonly enum: ReadonlyArray<string> } } })
    .properties._tag.enum[0]
  if (tag === undefined) throw new Error("an error class without a tag")
  return [tag, schema]
}

/** The JSON Schema of a schema's encoded side. References of classes to their definitions are inlined. */
const jsonSchemaOf = (schema: Schema.Constraint): JsonObject => {
  const document = Schema.toJsonSchemaDocument(schema)
  const definitions = document.definitions as { readonly [name: string]: JsonObject }
  return inlined(document.schema as JsonObject, definitions) as JsonObject
}

const inlined = (json: Json, definitions: { readonly [name: string]: JsonObject }): Json => {
  if (Array.isArray(json)) return json.map((part: Json) => inlined(part, definitions))
  if (typeof json !== "object" || json === null) return json
  const reference = (json as JsonObject)["$ref"]
  if (typeof reference === "string") {
    const definition = definitions[reference.replace("#/$defs/", "")]
    if (definition === undefined) throw new Error(`${reference} is not defined`)
    return inlined(definition, definitions)
  }
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, inlined(value, definitions)]))
}

const jsonContent = (schema: JsonObject): JsonObject => ({ "application/json": { schema } })
