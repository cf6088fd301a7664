import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { bundle } from "./testing/bundle.ts"
import { bundleSizes } from "./testing/bundle-sizes.ts"

const promiseUser = `export { createClient } from "./index.ts"`
const fromRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

test("the bundle needs no part of Node: one file works in browsers and workers", async () => {
  const { code, imports, modules } = await bundle(promiseUser)
  expect(imports).toEqual([])
  expect(modules.filter((id) => id.includes("browser-external") || id.startsWith("node:"))).toEqual([])
  // Effect reaches its optional Node parts only through `process?.`, which is undefined in browsers.
  expect(code.match(/(?<![\w.$])(require\(|Buffer\.|process\.)/g)).toBeNull()
})

test("the bundle stays within its budget with every bundler", { timeout: 300_000 }, async () => {
  const project = fromRoot("packages/client-sdk/tsconfig.build.json")
  execFileSync(process.execPath, [fromRoot("node_modules/typescript/bin/tsc"), "-b", project])
  const sizes = await bundleSizes(`export { createClient } from "../index.js"`)
  for (const [bundler, { initialBytes, laterBytes }] of Object.entries(sizes)) {
    expect(initialBytes, `${bundler}: ${JSON.stringify(sizes)}`).toBeLessThan(BUDGET_BYTES)
    expect(laterBytes, bundler).toBeLessThan(4_000)
  }
})

/** tRPC's client is 10 kB of it, Effect's schemas and the contract are up to 35. */
const BUDGET_BYTES = 56_500

test("the bundle of an error class contains no client", async () => {
  const { modules } = await bundle(`export { OutOfStock } from "./index.ts"`)
  expect(modules.filter((id) => id.includes("@trpc") || id.includes("create-client"))).toEqual([])
})
