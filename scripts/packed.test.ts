import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { node24 } from "./bootstrap.mjs"
import { copyExample, install, packPackages, runProgram } from "./consumer.mjs"

let packed: string
let tarballs: Record<string, string>

beforeAll(async () => {
  packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
  tarballs = await packPackages(["domain", "client-sdk", "testkit"], packed)
})
afterAll(() => rmSync(packed, { recursive: true, force: true }))

/** Runs a program on Node 24 in the directory of the consumer. */
const runNode = (directory: string, ...args: Array<string>): Promise<string> =>
  runProgram(node24(), args, { cwd: directory })

/** The tools that work without an optional peer. `/topologies` and `/vitest` are about one. */
const withoutPeers = ["evidence", "explore", "faults", "history", "load", "lock-graph", "services"]

/**
 * Uses the testkit beside the client of the example, so that the compiler reads the types of both. Neither a driver nor
 * Testcontainers is installed.
 */
const testkitUse = `
${withoutPeers.map((tool) => `import * as ${tool.replace("-", "")} from "@holdfast/testkit/${tool}"`).join("\n")}
import { expectExactly, race } from "@holdfast/testkit"
import { crashPoint } from "@holdfast/testkit/crash-point"
const result = await race(3, async (index) => {
  if (index > 0) throw new Error("late")
  return index
})
expectExactly(result, 1)
crashPoint("afterRace")
for (const tool of [${withoutPeers.map((tool) => tool.replace("-", "")).join(", ")}])
  if (Object.keys(tool).length === 0) throw new Error("a tool is missing")
const missing = await services.databaseFactory({ host: "127.0.0.1", port: 1, user: "u", password: "p" }).catch((error) => error)
if (missing.name !== "PeerMissing") throw missing
console.log("one of three")
`

/** Calls a server that is always sold out: the error must be an instance of the class that the package exports. */
const clientUse = `
import { createServer } from "node:http"
import { createClient, isHoldfastError, OutOfStock } from "@holdfast/client-sdk"
const domain = { _tag: "OutOfStock", sku: "TEA", requested: 2, available: 1 }
const error = { message: "no", code: -32009, data: { code: "CONFLICT", httpStatus: 409, requestId: "r1", retryable: false, domain } }
const server = createServer((_request, response) => {
  response.writeHead(409, { "content-type": "application/json" }).end(JSON.stringify({ error }))
})
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
const address = server.address()
const port = typeof address === "object" ? address?.port : undefined
const client = createClient({ url: "http://127.0.0.1:" + port, token: "t" })
try {
  await client.orders.create({ lines: [{ sku: "TEA", quantity: 2 }] })
} catch (thrown) {
  if (isHoldfastError(thrown) && thrown instanceof OutOfStock) console.log(thrown.available, thrown.requestId)
}
server.close()
server.closeAllConnections()
`

describe.each(["npm", "pnpm"] as const)(
  "the packed packages, installed with %s outside of the workspace",
  (manager) => {
    test("compile under strict without skipLibCheck, and run", { timeout: 300_000 }, async () => {
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
        for (const peer of ["mysql2", "ioredis", "testcontainers"])
          expect(existsSync(join(directory, "node_modules", peer)), peer).toBe(false)
        await runNode(directory, "node_modules/typescript/bin/tsc", "-p", ".")
        expect(await runNode(directory, "dist/client.js")).toBe("1 r1\n")
        expect(await runNode(directory, "dist/testkit.js")).toBe("one of three\n")
      } finally {
        consumer.remove()
      }
    })
  }
)

test("the types of the client import the domain, effect, tRPC and its event source, and nothing of the server", async () => {
  await runProgram("tar", ["-xzf", tarballs["@holdfast/client-sdk"]!.replace("file:", ""), "-C", packed])
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
  const packages = imports.map((name = "") => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)
  const outside = new Set(packages.filter((name) => !name.startsWith(".") && name !== "effect"))
  expect(outside).toEqual(new Set(["@holdfast/domain", "@trpc/client", "@trpc/server", "eventsource"]))
})
