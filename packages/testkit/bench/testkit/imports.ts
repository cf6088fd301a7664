// How long a program that imports the built package waits for it.
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { figures } from "./figures.ts"

const packageDirectory = fileURLToPath(new URL("../../", import.meta.url))

const program = (entry: string) =>
  `const start = performance.now(); await import("${entry}"); console.log(performance.now() - start)`

/** Milliseconds to import the root and the largest subpaths, each time in a fresh process. */
export const importFigures = (rounds: number) =>
  Object.fromEntries(
    ["", "/explore", "/history", "/services"].map((subpath) => {
      const args = ["--input-type=module", "-e", program(`@holdfast/testkit${subpath}`)]
      const once = () => Number(execFileSync(process.execPath, args, { cwd: packageDirectory }))
      return [`@holdfast/testkit${subpath}`, figures(Array.from({ length: rounds }, once))]
    })
  )
