import { expect, it } from "vitest"
import { bundle } from "./testing/bundle.ts"

const promiseUser = `export { createClient } from "./index.ts"`

it("needs nothing of Node: one file for browsers and workers", async () => {
  const { code, imports, modules } = await bundle(promiseUser)
  expect(imports).toEqual([])
  expect(modules.filter((id) => id.includes("browser-external") || id.startsWith("node:"))).toEqual([])
  // Effect asks for its optional Node parts only through `process?.`, which browsers answer with undefined.
  expect(code.match(/(?<![\w.$])(require\(|Buffer\.|process\.)/g)).toBeNull()
})

it("stays small, and most of it is the schemas' runtime, which decodes the answers and the errors", async () => {
  const all = await bundle(promiseUser)
  const withoutEffect = await bundle(promiseUser, [/^effect($|\/)/])
  expect(all.gzipBytes).toBeLessThan(42_000)
  expect(withoutEffect.gzipBytes).toBeLessThan(all.gzipBytes / 2)
})

it("leaves out what an application does not use: an error class alone brings no client", async () => {
  const { modules } = await bundle(`export { OutOfStock } from "./index.ts"`)
  expect(modules.filter((id) => id.includes("@trpc") || id.includes("createClient"))).toEqual([])
})
