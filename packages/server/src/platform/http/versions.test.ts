import { query } from "@holdfast/domain"
import { initTRPC } from "@trpc/server"
import { Schema } from "effect"
import Fastify from "fastify"
import { expect, test } from "vitest"
import { addProcedures } from "./rpc.ts"

const empty = { access: "public", input: Schema.Struct({}), errors: [] } as const
const since = new Date("2026-01-01T00:00:00Z")
const contract = {
  things: {
    current: query({ ...empty, output: Schema.Null }),
    old: query({ ...empty, output: Schema.Null, deprecated: { since, instead: "things.current" } })
  }
}

const start = async () => {
  const trpc = initTRPC.create()
  const nothing = trpc.procedure.query(() => null)
  const app = Fastify()
  await addProcedures(app, {
    contract,
    router: trpc.router({ things: trpc.router({ current: nothing, old: nothing }) }),
    directCalls: new Map(),
    // The procedures here read nothing of their context.
    createContext: () => ({ requestId: "r1" }) as never
  })
  return app
}

test("every answer names the version of the contract, and a request for another one is refused", async () => {
  const app = await start()
  const ask = (version?: string) =>
    app.inject({
      url: "/trpc/things.current",
      headers: version === undefined ? {} : { "holdfast-api-version": version }
    })
  for (const version of [undefined, "1"]) {
    const answer = await ask(version)
    expect([answer.statusCode, answer.headers["holdfast-api-version"]]).toEqual([200, "1"])
    expect(answer.headers["deprecation"]).toBeUndefined()
  }
  for (const version of ["2", "0", "", "x".repeat(1_000)]) {
    const refused = await ask(version)
    expect([refused.statusCode, refused.headers["holdfast-api-version"]]).toEqual([400, "1"])
    expect(refused.json()).toMatchObject({
      error: { data: { domain: { _tag: "InvalidInput", issues: [{ path: "holdfast-api-version" }] } } }
    })
  }
})

test("a deprecated procedure is named in the headers of its answers, in a batch too", async () => {
  const app = await start()
  const named = { deprecation: "@1767225600", "holdfast-deprecated": "things.old" }
  expect((await app.inject({ url: "/trpc/things.old" })).headers).toMatchObject(named)
  const batch = await app.inject({ url: "/trpc/things.current,things.old?batch=1" })
  expect(batch.statusCode).toBe(200)
  expect(batch.headers).toMatchObject(named)
})
