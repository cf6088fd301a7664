import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServices } from "../packages/testkit/src/index.ts"
import { node24, root } from "./bootstrap.mjs"
import { emptyProject, install, packPackages, programOf, runProgram } from "./consumer.mjs"

const page = readFileSync(join(root, "docs/locks.md"), "utf8")

/** The page's files, by the path in their first line. */
const files = new Map(
  [...page.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, path = "", code = ""]) => [path, code])
)

/** Runs the page's programs, then takes and releases locks without Effect and shows what the client tells of them. */
const program = `
import { defineLockOrder, LockLost, lockScope } from "@holdfast/domain/locks"
import { createLocks } from "@holdfast/locks"

import "./readme.js"
${[...files.keys()].map((path) => `await import("./${path.replace(/ts$/, "js")}")`).join("\n")}

const order = defineLockOrder([
  lockScope({ name: "account", prefix: "account:", subject: (id: string) => id, mode: "pessimistic" })
])
const { account } = order.scopes
await using locks = createLocks(order, { redis: { url: process.env["REDIS_URL"] ?? "" } })
let inside = 0
const seen = await Promise.all(
  [1, 2, 3].map(() =>
    locks.run(account, "a", async (signal, lock) => {
      inside += 1
      await new Promise((resolve) => setTimeout(resolve, 5))
      const alone = inside === 1 && !signal.aborted && (lock.token("account:a") ?? 0) > 0
      inside -= 1
      return alone
    })
  )
)
await using held = await locks.acquire(account, "b")
const [info] = await locks.list()
console.log(seen.join(" "), info?.scope, info?.key, held.signal.aborted, typeof LockLost)
`

describe("the packed locks, installed in an empty project", () => {
  const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
  let consumer: ReturnType<typeof emptyProject>

  beforeAll(async () => {
    const tarballs = await packPackages(["domain", "locks"], packed)
    const dependencies = {
      "@holdfast/domain": "workspace:*",
      "@holdfast/locks": "workspace:*",
      effect: "catalog:",
      mysql2: "catalog:"
    }
    consumer = emptyProject(program, dependencies, tarballs)
    for (const [path, code] of files) {
      const file = join(consumer.directory, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, code)
    }
    writeFileSync(join(consumer.directory, "readme.ts"), programOf("packages/locks/README.md"))
    await install("npm", consumer.directory)
  }, 300_000)
  afterAll(() => {
    consumer.remove()
    rmSync(packed, { recursive: true, force: true })
  })

  test("bring no dependency of the server", () => {
    const dependenciesOf = (name: string) =>
      Object.keys(
        (
          JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as {
            readonly dependencies: Readonly<Record<string, string>>
          }
        ).dependencies
      )
    const locks = dependenciesOf("locks")
    const serverOnly = dependenciesOf("server").filter(
      (name) => name !== "@holdfast/locks" && !locks.includes(name)
    )
    expect(serverOnly).toEqual(
      expect.arrayContaining(["kysely", "fastify", "@node-rs/argon2", "@trpc/server"])
    )
    const lockfile = JSON.parse(readFileSync(join(consumer.directory, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, unknown>>
    }
    const installed = Object.keys(lockfile.packages).map((path) => path.replace(/^.*node_modules\//, ""))
    expect(installed).toEqual(expect.arrayContaining(["@holdfast/locks", "redis-semaphore", "ioredis"]))
    expect(installed.filter((name) => serverOnly.includes(name))).toEqual([])
    expect(installed.filter((name) => /fastify|argon2|kysely|@holdfast\/server/.test(name))).toEqual([])
  })

  test(
    "compile and run, with every program of docs/locks.md and of the README",
    { timeout: 300_000 },
    async () => {
      expect(files.size).toBe(5)
      expect([...page.matchAll(/^```ts$/gm)]).toHaveLength(files.size)
      const { directory } = consumer
      await runProgram(node24(), ["node_modules/typescript/bin/tsc", "-p", "."], { cwd: directory })
      await using services = await startServices()
      await services.sql.createDatabase("bank")
      const env = { ...process.env, REDIS_URL: services.redis.url(), MYSQL_URL: services.sql.url("bank") }
      expect(await runProgram(node24(), ["dist/main.js"], { cwd: directory, env })).toBe(
        "balance 30\npaid\n100 Released\ntrue true true account account:b false function\n"
      )
    }
  )
})

test("docs/locks.md names tests that exist", () => {
  const source = join(root, "packages/locks/src")
  const tests = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(source, file), "utf8"))
    .join("\n")
  const guards = /^\| guard \| test \|$[\s\S]*?^$/m.exec(page)?.[0] ?? ""
  const named = guards
    .split("\n")
    .filter((row) => !row.includes("domain:"))
    .flatMap((row) => [...row.matchAll(/\*([^*]+)\*/g)].map(([, title = ""]) => title.replace(/, …$/, "")))
  expect(named.length).toBeGreaterThan(15)
  // A title begins with `%s` where the same test runs before and after a command.
  expect(named.filter((title) => !tests.includes(title.replace(/^before /, "")))).toEqual([])
})
