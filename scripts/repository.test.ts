import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { root } from "./bootstrap.mjs"
import { documentedErrors, faultsOfPages } from "./error-pages.ts"
import { deadLinks, lockfileHosts, machineTraces } from "./repository.mjs"

/** Files under version control, and those about to be. */
const trackedFiles = (): ReadonlyArray<string> =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8"
  })
    .split("\0")
    .filter((file) => file !== "")

const readTracked = (file: string): string => {
  try {
    return readFileSync(join(root, file), "utf8")
  } catch {
    return "" // A deleted file, or a link to a directory.
  }
}

/** Exempt: this file contains planted violations. */
const OWN_NAME = "scripts/repository.test.ts"

describe("tracked files", () => {
  // A short host name such as "ci" would match ordinary words.
  const namesOfThisMachine = [hostname(), root].filter((name) => name.length >= 8 && name !== "localhost")

  test("contain no path and no host of one machine", () => {
    const files = trackedFiles().filter((file) => file !== OWN_NAME)
    expect(files.length).toBeGreaterThan(50)
    const traces = files.flatMap((file) =>
      machineTraces(readTracked(file), namesOfThisMachine).map((trace) => `${file}: ${trace}`)
    )
    expect(traces).toEqual([])
  })

  test.each([
    ["a home", `const log = "/home/ann/holdfast/run.log"`],
    ["a home on macOS", "see /Users/ann/notes.md"],
    ["a home on Windows", String.raw`C:\Users\ann\holdfast`],
    ["a private host", "registry=https://npm.example.internal/repo"],
    ["this machine's name", "built on ci-runner-0815"]
  ])("are searched for: %s", (_case, text) => {
    expect(machineTraces(text, ["ci-runner-0815"])).not.toEqual([])
  })

  test("name no registry in the lockfile, so that each machine uses the one it is configured with", () => {
    expect(
      lockfileHosts("  resolution: {integrity: sha512-x, tarball: https://npm.example.com/a.tgz}")
    ).not.toEqual([])
    expect(lockfileHosts(readTracked("pnpm-lock.yaml"))).toEqual([])
  })
})

describe("documents", () => {
  test("have no broken relative link", () => {
    const pages = trackedFiles().filter((file) => file.endsWith(".md"))
    expect(pages).toContain("docs/errors/OutOfStock.md")
    const dead = pages.flatMap((page) =>
      deadLinks(root, page, readTracked(page)).map((link) => `${page}: ${link}`)
    )
    expect(dead).toEqual([])
  })

  test("are searched for broken links outside of code blocks", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-links-"))
    writeFileSync(join(directory, "there.md"), "# A title: with `code`\n")
    const text = [
      "[ok](there.md) [ok](there.md#a-title-with-code) [ok](https://example.com/x) [no](gone.md) [no](there.md#gone)",
      "[no][ref] `[code](gone-too.md)`",
      "```\n[code](gone-too.md)\n```",
      "[ref]: ./lost.md"
    ].join("\n")
    expect(new Set(deadLinks(directory, "page.md", text))).toEqual(
      new Set(["./lost.md", "gone.md", "there.md#gone"])
    )
    rmSync(directory, { recursive: true })
  })

  test("describe every error of the domain in its current shape", () => {
    expect(documentedErrors().map(({ tag }) => tag)).toContain("OutOfStock")
    expect(faultsOfPages()).toEqual([])
  })
})
