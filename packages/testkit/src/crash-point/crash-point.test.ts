import { execFileSync } from "node:child_process"
import { expect, test } from "vitest"

/** Prints the modules that the subpath loads, except those of Node. */
const program = `
import { registerHooks } from "node:module"
const loaded = []
registerHooks({
  load: (url, context, next) => {
    if (!url.startsWith("node:")) loaded.push(url)
    return next(url, context)
  }
})
const { crashPoint } = await import("@holdfast/testkit/crash-point")
crashPoint("anywhere")
console.log(JSON.stringify(loaded))
`

test("importing crashPoint in production loads one module and nothing else", () => {
  const args = [
    "--conditions=holdfast-source",
    "--disable-warning=ExperimentalWarning",
    "--input-type=module"
  ]
  const printed = execFileSync(process.execPath, [...args, "--eval", program], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    timeout: 30_000
  })
  expect(JSON.parse(printed)).toEqual([expect.stringMatching(/\/crash-point\/index\.ts$/)])
})
