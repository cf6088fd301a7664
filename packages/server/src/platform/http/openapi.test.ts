import SwaggerParser from "@apidevtools/swagger-parser"
import { contract, type Contract, HTTP_STATUS, type Procedure } from "@holdfast/domain"
import { Schema } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { document, faultsOf, operationOf, operations, procedures } from "../../../test/api-document.ts"
import { errorExamples } from "../../api-error-examples.ts"
import { examples } from "../../api-examples.ts"
import { openApiOf } from "./openapi.ts"

const redocly = fileURLToPath(new URL("../../../node_modules/@redocly/cli/bin/cli.js", import.meta.url))

/** Every problem that Redocly's recommended rules find. */
const problemsOf = async (openApi: object): Promise<ReadonlyArray<string>> => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-openapi-"))
  try {
    writeFileSync(join(directory, "openapi.json"), JSON.stringify(openApi))
    const offline = { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" }
    const run = promisify(execFile)(process.execPath, [redocly, "lint", "openapi.json", "--format=json"], {
      cwd: directory,
      env: { ...process.env, ...offline },
      maxBuffer: 64 * 1024 * 1024
    })
    const { stdout } = await run.catch((failure: { readonly stdout: string }) => failure)
    const { problems } = JSON.parse(stdout) as {
      readonly problems: ReadonlyArray<{ readonly ruleId: string; readonly message: string }>
    }
    return problems.map(({ message, ruleId }) => `${ruleId}: ${message}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test("the document is valid OpenAPI 3.1: Redocly's recommended rules find nothing", async () => {
  expect(await problemsOf(document)).toEqual([])
})

test("Redocly's rules find a fault in a document that has one", async () => {
  const { license: _, ...info } = document.info
  expect(await problemsOf({ ...document, info, paths: {} })).toContainEqual(
    expect.stringContaining("info-license")
  )
})

test("swagger-parser validates the document and resolves its references", async () => {
  const copy = structuredClone(document) as unknown as Parameters<typeof SwaggerParser.validate>[0]
  await expect(SwaggerParser.validate(copy)).resolves.toMatchObject({ info: { title: "Holdfast" } })
})

test("the document has an operation for every procedure, with what the contract says of it", () => {
  expect(operations.map(({ path }) => path).toSorted()).toEqual([...procedures.keys()].toSorted())
  for (const { method, operationId, parameters, path, procedure, responses, security } of operations) {
    expect(path).toBe(`/trpc/${operationId}`)
    expect(method).toBe(["query", "subscription"].includes(procedure.kind) ? "get" : "post")
    expect(security, path).toEqual(procedure.access === "public" ? [] : [{ accessToken: [] }])
    const takesKey = parameters.some(({ name }) => name === "idempotency-key")
    expect(takesKey, path).toBe(procedure.kind === "mutation")
    if (procedure.kind === "subscription") continue
    const statuses = procedure.errors.map(({ code }) => String(HTTP_STATUS[code]))
    expect(new Set(Object.keys(responses)), path).toEqual(new Set(["200", "default", ...statuses]))
  }
})

test("entities and errors are named once, and dates are dates", () => {
  const { schemas } = document.components
  for (const name of ["User", "Product", "Order", "Coupon", "UserCoupon", "Payment", "OutOfStock"])
    expect(schemas).toHaveProperty(name)
  expect(schemas).toMatchObject({
    Order: {
      properties: { createdAt: { type: "string", format: "date-time" }, items: { items: ref("OrderItem") } }
    }
  })
  expect(operationOf("orders.get").responses["200"]).toMatchObject({
    content: {
      "application/json": { schema: { properties: { result: { properties: { data: ref("Order") } } } } }
    }
  })
})

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

test("two different schemas cannot have the same name", () => {
  const named = (name: string) => Schema.Struct({ [name]: Schema.String }).annotate({ identifier: "Thing" })
  const procedure = (input: Procedure["input"]): Procedure => ({ ...contract.points.balance, input })
  const things: Contract = {
    things: { one: procedure(named("a")), two: procedure(named("b")) }
  }
  const api = {
    contract: things,
    groupSummaries: {},
    procedureSummaries: {},
    schemaDescriptions: {},
    examples: {},
    errorExamples: []
  }
  expect(() => openApiOf(api, "1")).toThrow("two schemas are called Thing")
})

test("every example is valid under its schema, and the contract decodes it", () => {
  const decodes = (schema: Procedure["input"], value: unknown) =>
    expect(() => Schema.decodeUnknownSync(schema)(value), JSON.stringify(value)).not.toThrow()
  let count = 0
  for (const { parameters, path, procedure, requestBody, responses } of operations) {
    const [, , group = "", name = ""] = path.split(/[/.]/)
    const { input, output } = (
      examples as Record<string, Record<string, { input: unknown; output: unknown }>>
    )[group]![name]!
    decodes(procedure.input, input)
    decodes(procedure.output, output)
    const content = requestBody?.content ?? parameters.find(({ content }) => content !== undefined)!.content!
    expect(content["application/json"].example, path).toEqual(input)
    expect(faultsOf(content["application/json"].schema, input), path).toBeUndefined()
    for (const [status, response] of Object.entries(responses))
      for (const { example, examples: named = {}, schema } of Object.values(response.content))
        for (const value of [
          ...(example === undefined ? [] : [example]),
          ...Object.values(named).map((one) => one.value)
        ]) {
          expect(faultsOf(schema, value), `${path} ${status} ${JSON.stringify(value)}`).toBeUndefined()
          count++
        }
  }
  expect(count).toBeGreaterThan(150)
})

test("every error that a procedure declares has an example", () => {
  const tags = new Set(errorExamples.map(({ _tag }) => _tag))
  const declared = [...procedures.values()].flatMap(({ errors }) => errors)
  const without = declared.filter((errorClass) => !errorExamples.some((error) => error instanceof errorClass))
  expect(without).toEqual([])
  expect(tags.size).toBe(errorExamples.length)
})
