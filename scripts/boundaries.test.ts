import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { checkBoundaries, FOLDERS, MODULES } from "./boundaries.mjs"
import { plant } from "./planted.ts"

const EXTERNALS = ["effect", "@trpc/server", "fastify"]

/** One empty file in each folder that the tables name. */
const places = Object.fromEntries(
  [
    ...Object.entries(FOLDERS).flatMap(([name, folders]) =>
      Object.keys(folders).map((folder) => `packages/${name}/src/${folder}`)
    ),
    ...Object.keys(MODULES).map((module) => `packages/server/src/modules/${module}`)
  ].map((directory) => [`${directory}/place.ts`, "export {}"])
)

/** A monorepo of our shape in which every import is allowed; each test plants one that is not. */
const healthy: Readonly<Record<string, string>> = {
  ...places,
  "packages/domain/src/index.ts": `export * from "./kernel/ids.ts"; export * from "./locks/index.ts"`,
  "packages/domain/src/orders.ts": `export * from "./kernel/ids.ts"`,
  "packages/domain/src/kernel/ids.ts": `export { Schema } from "effect"`,
  "packages/domain/src/locks/index.ts": `import "../kernel/ids.ts"`,
  "packages/locks/src/index.ts": `import "node:fs"; import "effect"; import "@holdfast/domain/locks"; import "./backends/mysql.ts"`,
  "packages/locks/src/backends/mysql.ts": `import "../redis/place.ts"`,
  "packages/locks/src/queue.test.ts": `import "@holdfast/testkit"`,
  "packages/client-sdk/src/index.ts": `export * from "./client.ts"`,
  "packages/client-sdk/src/client.ts": `import "effect"; import "@holdfast/domain"; import "./transport/http.ts"`,
  "packages/client-sdk/src/transport/http.ts": `export {}`,
  "packages/testkit/src/index.ts": `import "node:fs"; export {}`,
  "packages/server/src/index.ts": `import "@holdfast/domain"; import "@holdfast/locks"; import "./platform/http/server.ts"; import "./modules/payments/service.ts"`,
  "packages/server/src/platform/http/server.ts": `import "fastify"; import "../db/database.ts"`,
  "packages/server/src/platform/db/database.ts": `export {}`,
  "packages/server/src/modules/payments/service.ts": `import "../orders/service.ts"; import "../points/service.ts"; import "../../platform/db/database.ts"`,
  "packages/server/src/modules/orders/service.ts": `import "../catalog/service.ts"; import "./repository.ts"`,
  "packages/server/src/modules/orders/repository.ts": `export {}`,
  "packages/server/src/modules/catalog/service.ts": `export {}`,
  "packages/server/src/modules/points/service.ts": `export {}`,
  "packages/server/src/modules/coupons/issuing/service.ts": `export {}`,
  "packages/server/src/modules/shared.ts": `export {}`,
  "packages/server/src/modules/orders/race.test.ts": `import "@holdfast/testkit"; import "../payments/service.ts"`,
  "tools/src/main.ts": `import "@holdfast/domain"; import "@holdfast/server"; import "@holdfast/testkit"; import "@holdfast/client-sdk"`
}

/** Writes the healthy monorepo with the given files on top of it, and applies the rules to it. */
async function check(planted: Readonly<Record<string, string>>, base = healthy) {
  const manifests = Object.keys(FOLDERS).map((name) => {
    const exports = {
      ".": { "holdfast-source": "./src/index.ts" },
      "./locks": { "holdfast-source": "./src/locks/index.ts" }
    }
    return [`packages/${name}/package.json`, JSON.stringify({ name: `@holdfast/${name}`, exports })]
  })
  const externals = EXTERNALS.flatMap((name) => [
    [`node_modules/${name}/package.json`, JSON.stringify({ name, exports: "./index.js" })],
    [`node_modules/${name}/index.js`, "export {}"]
  ])
  const root = plant({ ...base, ...Object.fromEntries([...manifests, ...externals]), ...planted })
  mkdirSync(join(root, "node_modules/@holdfast"))
  for (const name of Object.keys(FOLDERS))
    symlinkSync(join(root, "packages", name), join(root, "node_modules/@holdfast", name))
  return checkBoundaries(root)
}

const brokenRules = async (planted: Readonly<Record<string, string>>) => [
  ...new Set((await check(planted)).violations.map(({ rule }) => rule))
]

const server = "packages/server/src"

describe("import boundaries", () => {
  test("allow what the architecture says, and read every file", async () => {
    const { modules, violations } = await check({})
    expect(violations).toEqual([])
    expect(modules.toSorted()).toEqual(Object.keys(healthy).toSorted())
  })

  test.each([
    ["domain uses Node", "domain-is-pure", "packages/domain/src/kernel/ids.ts", `import "node:crypto"`],
    ["domain uses a library", "domain-is-pure", "packages/domain/src/orders.ts", `import "fastify"`],
    [
      "domain uses a library's types",
      "domain-is-pure",
      "packages/domain/src/orders.ts",
      `import type { A } from "fastify"`
    ],
    [
      "lock scopes use a file of the business",
      "domain-locks-without-business",
      "packages/domain/src/locks/index.ts",
      `import type { A } from "../orders.ts"`
    ],
    [
      "lock scopes use a folder of the business",
      "folders-in-order-domain-locks",
      "packages/domain/src/locks/index.ts",
      `import "../coupons/place.ts"`
    ],
    [
      "the kernel uses lock scopes",
      "folders-in-order-domain-kernel",
      "packages/domain/src/kernel/money.ts",
      `import "../locks/index.ts"`
    ],
    [
      "client uses the server",
      "client-imports",
      "packages/client-sdk/src/client.ts",
      `import "@holdfast/server"`
    ],
    ["client uses Node", "client-imports", "packages/client-sdk/src/client.ts", `import "node:fs"`],
    [
      "client uses the server's framework",
      "client-imports",
      "packages/client-sdk/src/transport/http.ts",
      `import type { A } from "fastify"`
    ],
    [
      "locks use the whole domain",
      "locks-without-the-shop",
      "packages/locks/src/index.ts",
      `import type { A } from "@holdfast/domain"`
    ],
    [
      "locks use the server",
      "locks-without-the-shop",
      "packages/locks/src/index.ts",
      `import "@holdfast/server"`
    ],
    [
      "locks use the testkit outside of tests",
      "locks-without-the-shop",
      "packages/locks/src/index.ts",
      `import "@holdfast/testkit"`
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
    ["server uses the client", "server-imports", `${server}/index.ts`, `import "@holdfast/client-sdk"`],
    [
      "server uses the testkit's types",
      "server-imports",
      `${server}/platform/http/server.ts`,
      `import type { A } from "@holdfast/testkit"`
    ],
    [
      "a path into another package",
      "packages-by-name",
      `${server}/index.ts`,
      `import "../../domain/src/kernel/ids.ts"`
    ],
    [
      "a tool uses a path into a package",
      "tools-by-name",
      "tools/src/main.ts",
      `import "../../packages/server/src/index.ts"`
    ],
    ["a package uses a tool", "no-tools", `${server}/index.ts`, `import "../../../tools/src/main.ts"`],
    [
      "a module reaches past another one's service",
      "modules-only-by-service",
      `${server}/modules/payments/service.ts`,
      `import "../orders/repository.ts"`
    ],
    [
      "a module uses the service of another one's submodule",
      "modules-only-by-service",
      `${server}/modules/orders/service.ts`,
      `import "../coupons/issuing/service.ts"`
    ],
    [
      "modules share a file beside them",
      "modules-only-by-service",
      `${server}/modules/orders/service.ts`,
      `import "../shared.ts"`
    ],
    [
      "orders use payments",
      "modules-in-order-orders",
      `${server}/modules/orders/service.ts`,
      `import "../payments/service.ts"`
    ],
    [
      "points use orders",
      "modules-in-order-points",
      `${server}/modules/points/service.ts`,
      `import type { A } from "../orders/service.ts"`
    ],
    [
      "auth uses orders",
      "modules-in-order-auth",
      `${server}/modules/auth/service.ts`,
      `import "../orders/service.ts"`
    ],
    [
      "the platform uses a module",
      "folders-in-order-server-platform",
      `${server}/platform/db/database.ts`,
      `import type { A } from "../../modules/points/service.ts"`
    ],
    [
      "the platform uses the application",
      "platform-below-all",
      `${server}/platform/db/database.ts`,
      `import type { A } from "../../index.ts"`
    ],
    [
      "two files import each other",
      "no-cycles",
      `${server}/modules/orders/repository.ts`,
      `import "./service.ts"`
    ],
    [
      "two files import each other's types",
      "no-cycles",
      `${server}/modules/orders/repository.ts`,
      `import type { A } from "./service.ts"`
    ],
    [
      "an import leads nowhere",
      "resolvable",
      `${server}/index.ts`,
      `import "@holdfast/domain/src/orders.ts"`
    ],
    ["a package without a place", "folder-without-place", "packages/mobile/src/index.ts", "export {}"],
    ["a folder without a place", "folder-without-place", "packages/testkit/src/misc/a.ts", "export {}"],
    ["a server's folder without a place", "folder-without-place", `${server}/utilities/a.ts`, "export {}"],
    ["a module without a place", "folder-without-place", `${server}/modules/returns/service.ts`, "export {}"]
  ])("catch: %s", async (_case, rule, path, text) => {
    expect(await brokenRules({ [path]: text })).toContain(rule)
  })

  test("catch names in the tables that have no folder", async () => {
    const { "packages/server/src/modules/webhooks/place.ts": _webhooks, ...rest } = healthy
    const { violations } = await check({}, rest)
    expect(violations.map(({ message }) => message)).toEqual([
      "packages/server/src/modules/webhooks: does not exist; remove it from MODULES of scripts/boundaries.mjs (place-without-folder)"
    ])
  })

  test("name the files and the reason", async () => {
    const { violations } = await check({ "packages/domain/src/orders.ts": `import "fastify"` })
    expect(violations.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^packages\/domain\/src\/orders\.ts -> .*fastify.*: the domain imports effect and nothing else/
      )
    ])
  })

  test("say where a new folder gets its place", async () => {
    const { violations } = await check({ [`${server}/modules/returns/service.ts`]: "export {}" })
    expect(violations.map(({ message }) => message)).toEqual([
      `${server}/modules/returns: add it to MODULES of scripts/boundaries.mjs, with what it may import (folder-without-place)`
    ])
  })
})
