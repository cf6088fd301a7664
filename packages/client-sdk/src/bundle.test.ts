import { expect, test } from "vitest"
import { bundle } from "./testing/bundle.ts"
import { bundleSizes } from "./testing/bundle-sizes.ts"

const promiseUser = `export { createClient } from "./index.ts"`

test("the bundle needs no part of Node: one file works in browsers and workers", async () => {
  const { code, imports, modules } = await bundle(promiseUser)
  expect(imports).toEqual([])
  expect(modules.filter((id) => id.includes("browser-external") || id.startsWith("node:"))).toEqual([])
  // Effect reaches its optional Node parts only through `process?.`, which is undefined in browsers.
  expect(code.match(/(?<![\w.$])(require\(|Buffer\.|process\.)/g)).toBeNull()
})

test("the bundle stays within its budget with every bundler", { timeout: 300_000 }, async () => {
  const sizes = await bundleSizes(`export { createClient } from "../index.js"`)
  for (const [bundler, { initialBytes, laterBytes }] of Object.entries(sizes)) {
    const budget = BUDGET_BYTES[bundler as keyof typeof sizes]
    expect(initialBytes, `${bundler}: ${JSON.stringify(sizes)}`).toBeLessThan(budget)
    expect(laterBytes, bundler).toBeLessThan(8_200)
  }
})

/**
 * Effect's schemas alone are 17 to 24 kB, tRPC's links 4 to 7. Terser, which rollup and webpack minify with, saves 4 kB
 * against the minifiers of vite and esbuild; esbuild also loads what the page shares with its first subscription.
 */
const BUDGET_BYTES = { esbuild: 52_000, rollup: 45_000, vite: 48_500, webpack: 45_000 }

test("the bundle of an error class contains no client", async () => {
  const { modules } = await bundle(`export { OutOfStock } from "./index.ts"`)
  expect(modules.filter((id) => id.includes("@trpc") || id.includes("create-client"))).toEqual([])
})
