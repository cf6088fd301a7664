import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { node24 } from "./bootstrap.mjs"
import { copyExample, install, packPackages } from "./consumer.mjs"
import { capture, StepFailed } from "./steps.mjs"

let packed: string
let tarballs: Record<string, string>

beforeAll(async () => {
  packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
  tarballs = await packPackages(["domain", "client-sdk", "testkit"], packed)
})
afterAll(() => rmSync(packed, { recursive: true, force: true }))

/** Runs a program on Node 24 in the consumer's folder; what it printed is part of the failure. */
const runNode = (directory: string, ...args: Array<string>): Promise<string> =>
  capture(node24(), args, { cwd: directory }).catch((error: unknown) => {
    throw error instanceof StepFailed ? new Error(`${error.message}\n${error.output}`) : error
  })

/** A use of the testkit beside the example's use of the client, so that the types of both are read. */
const testkitUse = `
import { expectExactly, race } from "@holdfast/testkit"
const result = await race(3, async (index) => {
  if (index > 0) throw new Error("late")
  return index
})
expectExactly(result, 1)
console.log("one of three")
`

/** No server is there: the program ends with the client's own error, and that is all of it that this test runs. */
const clientUse = `
import { createClient, TransportError } from "@holdfast/client-sdk"
const client = createClient({ url: "http://127.0.0.1:9", retry: false })
const answer = await client.safe.products.bySku({ sku: "TEA" })
console.log(!answer.ok && answer.error instanceof TransportError ? answer.error.reason : "an answer")
`

describe.each(["npm", "pnpm"] as const)(
  "the packed packages, installed with %s outside of the workspace",
  (manager) => {
    it(
      "compile under strict with the libraries' own types checked, and run",
      { timeout: 300_000 },
      async () => {
        const consumer = copyExample("node-script", { ...tarballs })
        try {
          const { directory } = consumer
          const manifestFile = join(directory, "package.json")
          const manifest = JSON.parse(readFileSync(manifestFile, "utf8")) as {
            dependencies: Record<string, string>
          }
          manifest.dependencies["@holdfast/testkit"] = tarballs["@holdfast/testkit"]!
          writeFileSync(manifestFile, JSON.stringify(manifest))
          writeFileSync(join(directory, "src", "testkit.ts"), testkitUse)
          writeFileSync(join(directory, "src", "client.ts"), clientUse)
          const options = (
            JSON.parse(readFileSync(join(directory, "tsconfig.json"), "utf8")) as { compilerOptions: object }
          ).compilerOptions
          expect(options).toMatchObject({ strict: true, skipLibCheck: false })

          await install(manager, directory)
          const inside = { cwd: directory }
          await capture(node24(), ["node_modules/typescript/bin/tsc", "-p", "."], inside)
          expect(await capture(node24(), ["dist/client.js"], inside)).toBe("unreachable\n")
          expect(await capture(node24(), ["dist/testkit.js"], inside)).toBe("one of three\n")
        } finally {
          consumer.remove()
        }
      }
    )
  }
)

it("the client's types name nothing of the server, its stores or tRPC", async () => {
  await capture("tar", ["-xzf", tarballs["@holdfast/client-sdk"]!.replace("file:", ""), "-C", packed])
  const types = join(packed, "package", "dist")
  const files = readdirSync(types, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".d.ts")
  )
  expect(files.length).toBeGreaterThan(10)
  const imports = files.flatMap((file) =>
    [...readFileSync(join(types, file), "utf8").matchAll(/(?:from|import\() ?"([^"]+)"/g)].map(
      (match) => match[1]
    )
  )
  const outside = new Set(imports.filter((name) => !/^(\.|effect\/)/.test(name ?? "")))
  expect(outside).toEqual(new Set(["@holdfast/domain", "effect"]))
})
