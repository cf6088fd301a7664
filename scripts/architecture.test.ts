import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { root } from "./bootstrap.mjs"

const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8")

/** A file or folder that the text links to, and the names in it that follow the link: ``[a.ts](path/a.ts): `one`, `two` ``. */
interface Reference {
  readonly path: string
  readonly names: ReadonlyArray<string>
}

const referencesOf = (text: string): ReadonlyArray<Reference> =>
  [...text.matchAll(/\]\(([^)#]+)\):((?:,? `\w+`)+)/g)].map(([, path = "", names = ""]) => ({
    path,
    names: [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? "")
  }))

/** The text of a file, or of all sources of a folder. Tests do not count: they may mention what is gone. */
const sourceOf = (path: string): string => {
  const absolute = join(root, path)
  if (statSync(absolute).isFile()) return readFileSync(absolute, "utf8")
  return readdirSync(absolute)
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => readFileSync(join(absolute, name), "utf8"))
    .join("\n")
}

const missingNames = (text: string): ReadonlyArray<string> =>
  referencesOf(text).flatMap(({ names, path }) => {
    const source = sourceOf(path)
    return names.filter((name) => !new RegExp(`\\b${name}\\b`).test(source)).map((name) => `${path}: ${name}`)
  })

describe("ARCHITECTURE.md", () => {
  test("names functions and constraints that exist", () => {
    expect(referencesOf(page).length).toBeGreaterThan(50)
    expect(missingNames(page)).toEqual([])
    const migrations = sourceOf("packages/server/src/migrations")
    const constraints = [
      ...page.matchAll(/`(?:UNIQUE |CHECK )?((?:\w+_)+(?:once|stock|balance|issued|order|email|event))`/g)
    ]
    expect(constraints.length).toBeGreaterThan(8)
    expect(constraints.map(([, name = ""]) => name).filter((name) => !migrations.includes(name))).toEqual([])
  })

  test("notices a name that is gone", () => {
    const text =
      "[a](scripts/run.mjs): `bootstrap`, `gone` and [b](packages/server/src/platform/command): `absent`"
    expect(missingNames(text)).toEqual([
      "scripts/run.mjs: gone",
      "packages/server/src/platform/command: absent"
    ])
  })

  test("shows code as it is", () => {
    const blocks = [...page.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)]
    expect(blocks).toHaveLength([...page.matchAll(/^```ts$/gm)].length)
    for (const [, path = "", code = ""] of blocks) expect(sourceOf(path)).toContain(code)
  })
})
