import { contract, query, subscription, type Procedure } from "@holdfast/domain"
import * as Schema from "effect/Schema"
import { expect, test } from "vitest"
import { deriveClient } from "./derive-client.ts"
import * as sdk from "./index.ts"

const { createClient } = sdk

type Methods = Record<string, Record<string, unknown> | undefined>

/** The procedures for which a client lacks a method in at least one style. */
const missingMethods = (client: { safe: unknown; effect: unknown }, procedures: object): Array<string> =>
  Object.entries(procedures).flatMap(([group, members]) =>
    Object.entries(members as Record<string, Procedure>)
      .filter(([name]) =>
        [client, client.safe, client.effect].some(
          (style) => typeof (style as Methods)[group]?.[name] !== "function"
        )
      )
      .map(([name]) => `${group}.${name}`)
  )

const planted = query({
  access: "public",
  input: Schema.Struct({ cursor: Schema.optionalKey(Schema.String) }),
  output: Schema.Struct({ items: Schema.Array(Schema.Int), nextCursor: Schema.optionalKey(Schema.String) }),
  errors: []
})

test("the client has a method in every style for every procedure of the contract", () => {
  const client = createClient({ url: "http://localhost:3000" })
  expect(missingMethods(client, contract)).toEqual([])
  expect(missingMethods(client, { ...contract, orders: { ...contract.orders, planted } })).toEqual([
    "orders.planted"
  ])
})

test("a procedure that is added to a contract gets its methods without further code", async () => {
  const watch = subscription({ ...planted, output: Schema.Int })
  const client = deriveClient(
    { stock: { history: planted, watch } },
    async (operation, input) => ({ items: [operation.name.length, Object.keys(input ?? {}).length] }),
    async function* () {
      yield 1
    }
  )
  const watched: Array<number> = []
  for await (const count of client.stock.watch()) watched.push(count)
  expect(watched).toEqual([1])
  expect(await client.stock.history({ cursor: "x" })).toEqual({ items: ["stock.history".length, 1] })
  expect(await client.safe.stock.history()).toMatchObject({ ok: true })
  const pages: Array<unknown> = []
  for await (const page of client.stock.historyPages({ cursor: "x" })) pages.push(page)
  expect(pages).toHaveLength(1)
})

test("no group of the contract is named like one of the styles", () => {
  expect(Object.keys(contract)).not.toContain("safe")
  expect(Object.keys(contract)).not.toContain("effect")
})

test("the package exports the client, its links and errors, and every error that a procedure declares", () => {
  const declared = Object.values(contract).flatMap((procedures) =>
    Object.values(procedures as Record<string, Procedure>).flatMap(({ errors }) => errors)
  )
  const names = new Set(
    declared.map((error) => (error as unknown as { readonly identifier: string }).identifier)
  )
  const own = Object.keys(sdk).filter((name) => !names.has(name))
  expect(Object.keys(sdk).filter((name) => names.has(name))).toEqual([...names].toSorted())
  expect(own.toSorted()).toEqual([
    "RemoteDefect",
    "TransportError",
    "UnknownError",
    "WebhookSignatureError",
    "authLink",
    "createClient",
    "decodingLink",
    "errorsLink",
    "holdfastHttpLink",
    "hooksLink",
    "idempotencyLink",
    "isHoldfastError",
    "memoryTokenStore",
    "retryLink",
    "tracingLink",
    "webhooks"
  ])
})
