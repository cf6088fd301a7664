import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { startServices } from "../packages/testkit/src/index.ts"
import { node24, root } from "./bootstrap.mjs"
import { emptyProject, install, packPackages, runProgram } from "./consumer.mjs"

/** Takes and gives back locks without Effect, and sees how a lock is lost. */
const program = `
import { defineLockOrder, LockLost, lockScope } from "@holdfast/domain"
import { createLocks } from "@holdfast/locks"

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

/** What the locks use of the server's dependencies. */
const used = ["@holdfast/domain", "effect", "ioredis", "mysql2", "redis-semaphore"]

it(
  "the locks compile and run in an empty project, without the rest of the server's dependencies",
  { timeout: 300_000 },
  async () => {
    const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
    await using services = await startServices({ sql: false })
    const tarballs = await packPackages(["domain", "server"], packed)
    const dependencies = {
      "@holdfast/domain": "workspace:*",
      "@holdfast/server": "workspace:*",
      effect: "catalog:"
    }
    const consumer = emptyProject(program, dependencies, tarballs)
    try {
      const { directory } = consumer
      await install("npm", directory)
      const manifest = JSON.parse(readFileSync(join(root, "packages/server/package.json"), "utf8")) as {
        readonly dependencies: Readonly<Record<string, string>>
      }
      const unused = Object.keys(manifest.dependencies).filter((name) => !used.includes(name))
      expect(unused).toEqual(expect.arrayContaining(["kysely", "fastify", "@trpc/server"]))
      for (const name of unused) rmSync(join(directory, "node_modules", name), { recursive: true })

      await runProgram(node24(), ["node_modules/typescript/bin/tsc", "-p", "."], { cwd: directory })
      const env = { ...process.env, REDIS_URL: services.redis.url() }
      expect(await runProgram(node24(), ["dist/main.js"], { cwd: directory, env })).toBe(
        "true true true account account:b false function\n"
      )
    } finally {
      consumer.remove()
      rmSync(packed, { recursive: true, force: true })
    }
  }
)
