import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { root } from "./bootstrap.mjs"

const read = (file: string) => readFileSync(join(root, file), "utf8")

const manifest = JSON.parse(read("packages/testkit/package.json")) as {
  readonly exports: Readonly<Record<string, { readonly "holdfast-source"?: string }>>
}

/** Starts servers for the fixtures of `/vitest`, and is no tool by itself. */
const SETUP = "./vitest-setup"

/** The tools of the testkit: its subpaths, with the names that each exports for running code. */
const tools = Object.entries(manifest.exports).flatMap(([subpath, { "holdfast-source": source }]) => {
  if (subpath === "." || subpath === SETUP || subpath.includes("*") || source === undefined) return []
  const text = read(join("packages/testkit", source))
  const own = [...text.matchAll(/^export (?:const|(?:async )?function) (\w+)/gm)].map(([, name = ""]) => name)
  const passedOn = [...text.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list = ""]) =>
    list
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type "))
  )
  const names = [...own, ...passedOn]
  return [{ subpath, names }]
})

/** What the product's tests, and the files that only they use, import from the testkit. */
const imported = new Set(
  globSync(
    [
      "packages/{domain,locks,server,client-sdk}/src/**/*.test.ts",
      "packages/{locks,server}/test/**/*.ts",
      "tools/src/**/*.test.ts"
    ],
    { cwd: root }
  ).flatMap((file) =>
    [...read(file).matchAll(/^import \{([^}]*)\} from "@holdfast\/testkit[^"]*"/gm)].flatMap(
      ([, list = ""]) => list.split(",").map((name) => name.trim())
    )
  )
)

// Guarantees: whoever changes a tool sees its effect on the product first.
test.each(tools)("the product's own tests use $subpath", ({ names }) => {
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter((name) => imported.has(name))).not.toEqual([])
})
