import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The root of the repository. */
export const root = fileURLToPath(new URL("../../..", import.meta.url))

/** A patch that removes one guard. */
export interface Mutant {
  readonly name: string
  /** What the guard ensures. */
  readonly guard: string
  /** The test files that must fail without it, from the root of the repository. */
  readonly tests: ReadonlyArray<string>
  /** The patch file. */
  readonly patch: string
}

/** The mutants of a directory, by name. Each patch begins with lines `Guard:` and `Test:`, which `git apply` skips. */
export const mutantsIn = (directory: string = join(root, "tools/mutants")): ReadonlyArray<Mutant> =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".patch"))
    .toSorted()
    .map((file) => {
      const patch = join(directory, file)
      const [head = ""] = readFileSync(patch, "utf8").split(/^diff /m, 1)
      const values = (name: string) =>
        [...head.matchAll(new RegExp(`^${name}: (.+)$`, "gm"))].map(([, value = ""]) => value)
      const [guard] = values("Guard")
      const tests = values("Test")
      if (guard === undefined || tests.length === 0)
        throw new Error(`${patch} names no guard, or no test that notices its absence`)
      return { name: basename(file, ".patch"), guard, tests, patch }
    })
