import { expect, test } from "vitest"
import { checkDocstrings } from "./docstrings.mjs"
import { plant } from "./planted.ts"

const manifest = JSON.stringify({
  name: "@holdfast/shop",
  exports: {
    ".": { "holdfast-source": "./src/index.ts", default: "./dist/index.js" },
    "./extra": { "holdfast-source": "./src/extra.ts", default: "./dist/extra.js" },
    "./package.json": "./package.json"
  }
})

/** The names without docstring in a package with these sources. */
const check = (sources: Readonly<Record<string, string>>) => {
  const files = Object.entries({ "index.ts": "", "extra.ts": "", ...sources })
  const root = plant({
    "packages/shop/package.json": manifest,
    ...Object.fromEntries(files.map(([file, text]) => [`packages/shop/src/${file}`, text]))
  })
  return checkDocstrings(root)
}

test.each([
  ["a constant", { "index.ts": "export const price = 1" }],
  ["a function", { "index.ts": "export function price() {}" }],
  ["a type", { "index.ts": "export type price = number" }],
  ["a default export", { "index.ts": "const price = 1\nexport default price" }],
  ["an export of another entry", { "extra.ts": "export class price {}" }],
  ["a name passed on", { "index.ts": `export { price } from "./a.ts"`, "a.ts": "export const price = 1" }],
  [
    "a name passed on under another one",
    { "index.ts": `export { price as cost } from "./a.ts"`, "a.ts": "export const price = 1" }
  ],
  [
    "a name imported first",
    { "index.ts": `import { price } from "./a.ts"\nexport { price }`, "a.ts": "export const price = 1" }
  ],
  [
    "all names of a file, through another file",
    {
      "index.ts": `export * from "./a/index.ts"`,
      "a/index.ts": `export type * from "./b.ts"`,
      "a/b.ts": "export interface price {}"
    }
  ],
  ["a namespace", { "index.ts": `export * as prices from "./a.ts"`, "a.ts": "export const price = 1" }],
  ["one of two in a pattern", { "index.ts": "export const { a: [price] } = source" }],
  ["a comment of another kind", { "index.ts": "/* The price. */\nexport const price = 1" }],
  ["a docstring without words", { "index.ts": "/** */\nexport const price = 1" }],
  ["the docstring of a declaration above", { "index.ts": "/** A. */\nconst a = 1\nexport const price = 1" }]
])("an export must have a docstring: %s", (_case, sources) => {
  const { violations } = check(sources)
  expect(violations).toEqual([
    expect.stringMatching(/^packages\/shop\/src\/.*: price, exported by @holdfast\/shop/)
  ])
})

test.each([
  ["a docstring", { "index.ts": "/** The price. */\nexport const price = 1" }],
  ["a docstring of several lines", { "index.ts": "/**\n * The price.\n */\nexport const price = 1" }],
  [
    "a docstring above a suppression",
    { "index.ts": "/** The price. */\n// oxlint-disable-next-line x\nexport const price = 1" }
  ],
  [
    "a docstring on one overload",
    { "index.ts": "/** The price. */\nexport function price(): 1\nexport function price() {}" }
  ],
  [
    "a docstring on the value of the same name",
    { "index.ts": "/** A price. */\nexport const price = 1\nexport type price = number" }
  ],
  [
    "a docstring at the declaration",
    { "index.ts": `export { price } from "./a.ts"`, "a.ts": "/** The price. */\nexport const price = 1" }
  ],
  ["no export of the entry", { "index.ts": `export {} from "./a.ts"`, "a.ts": "export const price = 1" }],
  ["another package's export", { "index.ts": `export * from "@holdfast/domain"` }],
  [
    "files that pass each other on",
    { "index.ts": `export * from "./a.ts"`, "a.ts": `export * from "./index.ts"` }
  ]
])("fulfilled: %s", (_case, sources) => {
  expect(check(sources).violations).toEqual([])
})

test("violations name the file, the line and the entry", () => {
  const { exports, violations } = check({ "extra.ts": "\n\nexport const price = 1" })
  expect(exports).toBe(1)
  expect(violations).toEqual([
    "packages/shop/src/extra.ts:3: price, exported by @holdfast/shop/extra, has no docstring"
  ])
})
