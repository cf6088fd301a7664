import { createClient } from "@holdfast/client-sdk"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { type Command, runCommand } from "./testing/command.ts"

const directory = mkdtempSync(join(tmpdir(), "holdfast-start-"))
afterAll(() => rmSync(directory, { recursive: true }))
/** Each test has its own data directory. */
const newEnvironment = () => ({ HOLDFAST_DATA: mkdtempSync(join(directory, "data-")), HOST: "127.0.0.1" })

/** A port that was free a moment ago. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const start = (port: number, environment: Readonly<Record<string, string>> = newEnvironment()): Command =>
  runCommand("start", [], { ...environment, PORT: String(port) })
const interrupt = async ({ child, ended }: Command) => {
  child.kill("SIGINT")
  return ended
}

describe("npm start", { timeout: 400_000 }, () => {
  test("serves a seeded shop, stops cleanly, and keeps its data for the next start", async () => {
    const environment = newEnvironment()
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const first = start(port, environment)
    await first.line(/serving on http/)
    const products = async () => {
      const { items } = await createClient({ url }).products.page({})
      return items.map(({ sku, stock }) => [sku, stock])
    }
    const seeded = await products()
    expect(seeded).toContainEqual(["KETTLE", 25])
    const firstPage = async () => (await fetch(url)).text()
    const shown = await firstPage()

    // The file as it is, and as it is left behind when the process id belongs to somebody else by now.
    const file = join(environment.HOLDFAST_DATA, "shop", "running.json")
    const announced = JSON.parse(readFileSync(file, "utf8")) as object

    const running = await start(port, environment).ended
    expect(running.code).toBe(1)
    expect(running.stderr).toMatch(/running already, as process \d+ on http/)

    const ended = await interrupt(first)
    expect(ended.code).toBe(0)
    const [, email = "", password = ""] = /user\s+(\S+)\s+(\S+)/.exec(ended.stdout) ?? []
    for (const text of ["Test accounts", email, password]) expect(shown).toContain(text)

    writeFileSync(file, JSON.stringify({ ...announced, pid: process.pid }))
    const second = start(port, { ...environment, NODE_ENV: "production" })
    await second.line(/serving on http/)
    expect(await firstPage()).not.toMatch(/Test accounts|shop\.example/)
    expect(await products()).toEqual(seeded)
    const client = createClient({ url, auth: { email, password } })
    expect(await client.points.balance()).toEqual({ balance: 1_000_000 })
    const order = await client.orders.create({ lines: [{ sku: "KETTLE", quantity: 1 }] })
    await client.payments.process({ orderId: order.id })

    const audited = await runCommand("verify", ["--json"], environment).ended
    expect(audited.stderr).toBe("")
    expect(JSON.parse(audited.stdout)).toMatchObject({ ok: true })
    expect((await interrupt(second)).code).toBe(0)

    const auditedLater = await runCommand("verify", [], environment).ended
    expect(auditedLater.stdout).toContain("The books are right.")
    expect(auditedLater.code).toBe(0)
  })

  test("stops when its npm parent process is killed", async () => {
    const underneath = { ...newEnvironment(), PORT: "0", npm_lifecycle_event: "start" }
    const { child, ended, line } = runCommand("start", [], underneath, { underShell: true })
    await line(/serving on http/)
    child.kill("SIGKILL")
    // The shell dies at once. The pipes close when the shop has ended, too.
    expect((await ended).stderr).toContain("stopped; the data stay in .holdfast/")
  })

  test("reports a taken port before it starts anything", async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const { code, stderr } = await start(port).ended
    taken.close()
    expect(code).toBe(1)
    expect(stderr).toBe(
      `holdfast: port ${port} of 127.0.0.1 is in use; stop the other program or set PORT to a free port\n`
    )
  })

  test.each([
    ["an invalid port", { PORT: "http" }, /PORT/],
    ["an invalid URL", { HOLDFAST_MYSQL_URL: "nowhere" }, /HOLDFAST_MYSQL_URL=nowhere: not a URL/],
    [
      "an unreachable server",
      { HOLDFAST_MYSQL_URL: "mysql://127.0.0.1:1/x" },
      /HOLDFAST_MYSQL_URL=mysql:.*: no usable server there/
    ]
  ])("reports %s", async (_case, changes, message) => {
    const port = String(await freePort())
    // A source that the test run forces would ignore the URL.
    const environment = { ...newEnvironment(), HOLDFAST_SOURCE: "", PORT: port, ...changes }
    const { code, stderr } = await runCommand("start", [], environment).ended
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/^\s+at \S+ \(/m)
  })
})

describe("npm run verify", { timeout: 120_000 }, () => {
  test.each([
    ["an unreachable database", ["--database", "mysql://127.0.0.1:1/x"]],
    ["an invalid URL", ["--database", "nowhere"]],
    ["an unknown option", ["--fast"]]
  ])("exits with 2 and the reason for %s", async (_case, args) => {
    const { code, stderr, stdout } = await runCommand("verify", args, newEnvironment()).ended
    expect(code).toBe(2)
    expect(stdout).toBe("")
    expect(stderr).toMatch(/^verify: \S/)
  })
})

describe("a secret in a file", { timeout: 120_000 }, () => {
  const file = join(directory, "mysql-url")
  writeFileSync(file, "mysql://u:hunter2@127.0.0.1:1/x\n")

  test.each([
    ["is used", { HOLDFAST_MYSQL_URL: "" }, /^verify: .*127\.0\.0\.1:1/],
    [
      "is refused beside a variable",
      { HOLDFAST_MYSQL_URL: "mysql://127.0.0.1:2/x" },
      /^verify: HOLDFAST_MYSQL_URL and HOLDFAST_MYSQL_URL_FILE are both set/
    ]
  ])("%s", async (_case, changes, message) => {
    const environment = { ...newEnvironment(), ...changes, HOLDFAST_MYSQL_URL_FILE: file }
    const { code, stderr } = await runCommand("verify", [], environment).ended
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain("hunter2")
  })
})

describe("npm run bench", { timeout: 120_000 }, () => {
  test("lists the benchmarks when the name is unknown", async () => {
    const { code, stderr } = await runCommand("bench", ["nothing-of-the-kind"], newEnvironment()).ended
    expect(code).toBe(2)
    expect(stderr).toContain('bench: Unknown subcommand "nothing-of-the-kind"')
    expect(stderr).toMatch(/^SUBCOMMANDS\n(?: .*\n)* {2}locks /m)
  })
})
