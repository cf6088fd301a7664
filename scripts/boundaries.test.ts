import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { checkBoundaries } from "./boundaries.mjs"

const PACKAGES = ["domain", "server", "client-sdk", "testkit"]
const EXTERNALS = ["effect", "@trpc/server", "fastify"]

/** A monorepo of our shape in which every import is allowed; each test plants one that is not. */
const healthy = {
  "packages/domain/src/index.ts": `export * from "./ids.ts"`,
  "packages/domain/src/ids.ts": `export { Schema } from "effect"`,
  "packages/client-sdk/src/index.ts": `export * from "./client.ts"`,
  "packages/client-sdk/src/client.ts": `import "effect"; import "@holdfast/domain"; import "./transport/http.ts"`,
  "packages/client-sdk/src/transport/http.ts": `export {}`,
  "packages/testkit/src/index.ts": `import "node:fs"; export {}`,
  "packages/server/src/index.ts": `import "@holdfast/domain"; import "./http/server.ts"; import "./features/payments/router.ts"`,
  "packages/server/src/http/server.ts": `import "fastify"; import "../db/database.ts"`,
  "packages/server/src/db/database.ts": `export {}`,
  "packages/server/src/features/payments/router.ts": `import "./service.ts"`,
  "packages/server/src/features/payments/service.ts": `import "../orders/service.ts"; import "../points/service.ts"; import "../../db/database.ts"`,
  "packages/server/src/features/orders/service.ts": `import "../products/service.ts"; import "./queries.ts"`,
  "packages/server/src/features/orders/queries.ts": `export {}`,
  "packages/server/src/features/products/service.ts": `export {}`,
  "packages/server/src/features/points/service.ts": `export {}`,
  "packages/server/src/features/app.ts": `import "./points/service.ts"`,
  "packages/server/src/features/points/router.ts": `import "../app.ts"`,
  "packages/server/src/features/orders/race.test.ts": `import "@holdfast/testkit"; import "../payments/service.ts"`,
  "tools/src/main.ts": `import "@holdfast/domain"; import "@holdfast/server"; import "@holdfast/testkit"; import "@holdfast/client-sdk"`
}

const made: Array<string> = []
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** Writes the healthy monorepo with the given files on top of it, and applies the rules to it. */
async function check(planted: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), "holdfast-boundaries-"))
  made.push(root)
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  for (const [path, text] of Object.entries({ ...healthy, ...planted })) write(path, text)
  for (const name of EXTERNALS) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, exports: "./index.js" }))
    write(`node_modules/${name}/index.js`, "export {}")
  }
  mkdirSync(join(root, "node_modules/@holdfast"))
  for (const name of PACKAGES) {
    const exports = { ".": { "holdfast-source": "./src/index.ts" } }
    write(`packages/${name}/package.json`, JSON.stringify({ name: `@holdfast/${name}`, exports }))
    symlinkSync(join(root, "packages", name), join(root, "node_modules/@holdfast", name))
  }
  return checkBoundaries(root)
}

const brokenRules = async (planted: Readonly<Record<string, string>>) => [
  ...new Set((await check(planted)).violations.map(({ rule }) => rule))
]

describe("import boundaries", () => {
  it("allow what the architecture says, and really read the files", async () => {
    const { modules, violations } = await check({})
    expect(violations).toEqual([])
    expect(modules.toSorted()).toEqual(Object.keys(healthy).toSorted())
  })

  it.each([
    ["domain uses Node", "domain-is-pure", "packages/domain/src/ids.ts", `import "node:crypto"`],
    ["domain uses a library", "domain-is-pure", "packages/domain/src/ids.ts", `import "fastify"`],
    [
      "domain uses a library's types",
      "domain-is-pure",
      "packages/domain/src/ids.ts",
      `import type { A } from "fastify"`
    ],
    [
      "client uses the server",
      "client-imports",
      "packages/client-sdk/src/client.ts",
      `import "@holdfast/server"`
    ],
    ["client uses Node", "client-imports", "packages/client-sdk/src/client.ts", `import "node:fs"`],
    [
      "client uses tRPC's types",
      "client-imports",
      "packages/client-sdk/src/transport/http.ts",
      `import type { A } from "@trpc/server"`
    ],
    [
      "testkit uses the domain",
      "testkit-stands-alone",
      "packages/testkit/src/index.ts",
      `import "@holdfast/domain"`
    ],
    [
      "a test of the testkit uses the server",
      "testkit-stands-alone",
      "packages/testkit/src/a.test.ts",
      `import "@holdfast/server"`
    ],
    [
      "server uses the client",
      "server-imports",
      "packages/server/src/index.ts",
      `import "@holdfast/client-sdk"`
    ],
    [
      "server uses the testkit",
      "server-imports",
      "packages/server/src/http/server.ts",
      `import type { A } from "@holdfast/testkit"`
    ],
    [
      "a path into another package",
      "packages-by-name",
      "packages/server/src/index.ts",
      `import "../../domain/src/ids.ts"`
    ],
    [
      "a package uses a tool",
      "no-tools",
      "packages/server/src/index.ts",
      `import "../../../tools/src/main.ts"`
    ],
    [
      "a feature reaches past another's service",
      "features-only-by-service",
      "packages/server/src/features/payments/service.ts",
      `import "../orders/queries.ts"`
    ],
    [
      "orders use payments",
      "features-in-order-orders",
      "packages/server/src/features/orders/service.ts",
      `import "../payments/service.ts"`
    ],
    [
      "points use orders",
      "features-in-order-others",
      "packages/server/src/features/points/service.ts",
      `import "../orders/service.ts"`
    ],
    [
      "auth uses orders",
      "features-in-order-auth",
      "packages/server/src/features/auth/service.ts",
      `import "../orders/service.ts"`
    ],
    [
      "the database knows a feature",
      "shared-without-features",
      "packages/server/src/db/database.ts",
      `import "../features/points/service.ts"`
    ],
    [
      "locks know a feature",
      "shared-without-features",
      "packages/server/src/locks/scopes.ts",
      `import type { A } from "../features/points/service.ts"`
    ],
    [
      "two files import each other",
      "no-cycles",
      "packages/server/src/features/orders/queries.ts",
      `import "./service.ts"`
    ],
    [
      "an import leads nowhere",
      "resolvable",
      "packages/server/src/index.ts",
      `import "@holdfast/domain/src/ids.ts"`
    ]
  ])("catch: %s", async (_case, rule, path, text) => {
    expect(await brokenRules({ [path]: text })).toContain(rule)
  })

  it("let two files use each other's types", async () => {
    expect(
      await brokenRules({
        "packages/server/src/db/one.ts": `import "./two.ts"; export type One = 1`,
        "packages/server/src/db/two.ts": `import type { One } from "./one.ts"`
      })
    ).toEqual([])
  })

  it("name the files and the reason", async () => {
    const { violations } = await check({ "packages/domain/src/ids.ts": `import "fastify"` })
    expect(violations.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^packages\/domain\/src\/ids\.ts -> .*fastify.*: the domain imports effect and nothing else/
      )
    ])
  })
})
