import { expect, test } from "vitest"
import { bundle } from "./testing/bundle.ts"

const promiseUser = `export { createClient } from "./index.ts"`

test("the bundle needs no part of Node: one file works in browsers and workers", async () => {
  const { code, imports, modules } = await bundle(promiseUser)
  expect(imports).toEqual([])
  expect(modules.filter((id) => id.includes("browser-external") || id.startsWith("node:"))).toEqual([])
  // Effect reaches its optional Node parts only through `process?.`, which is undefined in browsers.
  expect(code.match(/(?<![\w.$])(require\(|Buffer\.|process\.)/g)).toBeNull()
})

test("the bundle stays below 45 kB, most of it Effect's schema runtime", async () => {
  const all = await bundle(promiseUser)
  const withoutEffect = await bundle(promiseUser, [/^effect($|\/)/])
  expect(all.gzipBytes).toBeLessThan(45_000)
  expect(withoutEffect.gzipBytes).toBeLessThan(all.gzipBytes / 2)
})

test("the bundle of an error class contains no client", async () => {
  const { modules } = await bundle(`export { OutOfStock } from "./index.ts"`)
  expect(modules.filter((id) => id.includes("@trpc") || id.includes("create-client"))).toEqual([])
})
