import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { apiReport, PACKAGES } from "./api-report.mjs"
import { root } from "./bootstrap.mjs"
import { manifestFaults, tarballFaults } from "./release.mjs"

const created: Array<string> = []
afterAll(() => created.forEach((directory) => rmSync(directory, { recursive: true, force: true })))

/** A folder with these files. */
const folderOf = (files: Readonly<Record<string, string | object>>): string => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-release-"))
  created.push(directory)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content))
  }
  return directory
}

type Manifest = Record<string, unknown>

/** The manifests and changelogs of this checkout, after a change of those of one package. */
const changed = (name: string, change: Manifest, changelog?: string): string => {
  const read = (file: string) => readFileSync(join(root, file), "utf8")
  const manifests = PACKAGES.flatMap((one): ReadonlyArray<[string, string | object]> => {
    const manifest = JSON.parse(read(`packages/${one}/package.json`)) as Manifest
    const isChanged = one === name
    return [
      [`packages/${one}/package.json`, isChanged ? { ...manifest, ...change } : manifest],
      [`packages/${one}/CHANGELOG.md`, (isChanged && changelog) || read(`packages/${one}/CHANGELOG.md`)]
    ]
  })
  return folderOf({ "package.json": read("package.json"), ...Object.fromEntries(manifests) })
}

describe("the manifests", () => {
  test("of this checkout are ready to be published", () => {
    expect(manifestFaults(root)).toEqual([])
  })

  test.each([
    ["another version", { version: "9.9.9" }, /has version 9\.9\.9.*\n.*has no section 9\.9\.9/],
    ["no licence", { license: undefined }, /has no licence/],
    ["no keywords", { keywords: [] }, /has no keywords/],
    ["another repository", { repository: { url: "git+https://example.com/x.git" } }, /another repository/],
    ["no place for bugs", { bugs: undefined }, /has no homepage or bugs/]
  ])("are searched for %s", (_, change, fault) => {
    expect(manifestFaults(changed("locks", change)).join("\n")).toMatch(fault)
  })

  test("are searched for a version that the changelog leaves out", () => {
    expect(manifestFaults(changed("locks", {}, "# @holdfast/locks\n"))).toHaveLength(1)
  })
})

describe("a tarball", () => {
  const whole = {
    "README.md": "#",
    "CHANGELOG.md": "#",
    LICENSE: "MIT",
    "package.json": { dependencies: {} },
    "dist/index.js.map": { sources: ["../src/index.ts"] },
    "src/index.ts": ""
  }

  test("with its documents and the sources of its maps is right", () => {
    expect(tarballFaults(folderOf(whole))).toEqual([])
  })

  test.each([
    ["README.md", "README.md is missing"],
    ["src/index.ts", "dist/index.js.map refers to ../src/index.ts, which is missing"],
    ["dist/index.js.map", "there are no source maps"]
  ])("without %s is wrong", (file, fault) => {
    const rest = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== file))
    expect(tarballFaults(folderOf(rest))).toEqual([fault])
  })

  test("that depends on the workspace is wrong", () => {
    const dependencies = { "@holdfast/domain": "workspace:*" }
    expect(tarballFaults(folderOf({ ...whole, "package.json": { dependencies } }))).toHaveLength(1)
  })
})

describe("the report of a package's public types", () => {
  const reportOf = (files: Readonly<Record<string, string>>) =>
    apiReport(
      folderOf({
        "package.json": { name: "a", publishConfig: { exports: { ".": { types: "./dist/index.d.ts" } } } },
        "dist/index.d.ts": `export * from "./b.ts"\n`,
        "dist/b.d.ts": "/** A comment. */\nexport declare const b: number\n",
        "dist/unreached.d.ts": "export declare const c: number\n",
        ...files
      })
    )

  test("has the declarations that the entries reach, without comments", () => {
    const report = reportOf({})
    expect(report).toContain("## b.d.ts\n\n```ts\nexport declare const b: number\n```")
    expect(report).not.toMatch(/comment|unreached/)
  })

  test("changes with them, and not with what nobody reaches or with comments", () => {
    expect(reportOf({ "dist/b.d.ts": "export declare const b: string\n" })).not.toBe(reportOf({}))
    expect(reportOf({ "dist/b.d.ts": "export declare const b: number\n", "dist/unreached.d.ts": "" })).toBe(
      reportOf({})
    )
  })
})
