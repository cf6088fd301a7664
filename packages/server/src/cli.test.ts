import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { Shop } from "../test/shop.ts"
import { commandEnvironment, TEST_SECRET } from "../test/settings.ts"

/** Runs the command as a user would: in a process of its own. */
const holdfast = (args: ReadonlyArray<string>, env: Record<string, string>, stdin = "") =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const main = fileURLToPath(new URL("./cli.ts", import.meta.url))
    const command = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", main, ...args]
    const child = execFile(
      process.execPath,
      command,
      { env: { ...commandEnvironment, ...env } },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr })
    )
    child.stdin?.end(stdin)
  })

describe("the holdfast command", () => {
  let shop: Shop
  let env: Record<string, string>
  beforeAll(async () => {
    shop = await Shop.open()
    const mysqlUrl = new URL(inject("mysqlUrl"))
    mysqlUrl.pathname = `/${shop.database}`
    env = {
      HOLDFAST_MYSQL_URL: mysqlUrl.href,
      HOLDFAST_REDIS_URL: inject("redisUrl"),
      HOLDFAST_SECRET: TEST_SECRET
    }
    await shop.newProduct("tea", 5)
  })
  afterAll(() => shop.stop())

  test("verify ends with 0 when the books are right and with 1 when they are wrong", async () => {
    const right = await holdfast(["verify"], env)
    expect(right).toMatchObject({ code: 0, stdout: expect.stringContaining("The books are right.") })
    await shop.sql.query("UPDATE products SET stock = 6")
    const wrong = await holdfast(["verify", "--json"], env)
    expect(wrong.code).toBe(1)
    expect(JSON.parse(wrong.stdout)).toMatchObject({ ok: false })
    await shop.sql.query("UPDATE products SET stock = 5")
  })

  // Guarantees: a shop that was just installed gets its administrator without a password in any list of processes.
  test(
    "admin creates an administrator, and says so when there is one, or a user, or a wrong input",
    { timeout: 120_000 },
    async () => {
      const created = await holdfast(["admin", "create", " Boss@Example.com"], env, "a long password\n")
      expect(created).toMatchObject({ code: 0, stdout: " Boss@Example.com is an administrator now\n" })
      const credentials = { email: "boss@example.com", password: "a long password" }
      expect((await shop.ok(contract.auth.login, credentials)).user.role).toBe("admin")
      const again = await holdfast(["admin", "create", "boss@example.com"], env, "another password")
      expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("is an administrator already") })
      await shop.ok(contract.auth.login, credentials)
      const made = await holdfast(["admin", "create", "chief@example.com", "--generate"], env)
      const password = /the password is ([\w-]{24})\n$/.exec(made.stdout)![1]!
      expect((await shop.ok(contract.auth.login, { email: "chief@example.com", password })).user.role).toBe(
        "admin"
      )
      const { email } = await shop.newUser()
      for (const [args, stdin, message] of [
        [["create", email], "a long password", "is registered as a user"],
        [["create", "x@example.com"], "short", "password: must be at least 8 characters"],
        [["create", "x@example.com"], "", "password: must be at least 8 characters"],
        [["create", "nobody"], "a long password", "email: must be an e-mail address"],
        [["grant", "nobody@example.com"], "", "there is no user nobody@example.com"]
      ] as const)
        expect(await holdfast(["admin", ...args], env, stdin)).toMatchObject({
          code: 2,
          stderr: expect.stringContaining(message)
        })
    }
  )

  test("admin changes what a user may do, as often as it is told to", { timeout: 120_000 }, async () => {
    const { email, token } = await shop.newUser()
    const tell = async (change: string) => (await holdfast(["admin", change, email], env)).stdout
    expect(await tell("grant")).toBe(`${email} is an administrator now; all their sessions have ended\n`)
    expect(await tell("grant")).toBe(`${email} is an administrator already\n`)
    const login = () => shop.call(contract.auth.login, { email, password: "a password" })
    expect(await login()).toMatchObject({ value: { user: { role: "admin" } } })
    expect(await tell("block")).toContain("is blocked now")
    expect(await login()).toMatchObject({ tag: "InvalidCredentials" })
    expect(await tell("unblock")).toContain("is not blocked now")
    expect(await tell("revoke")).toContain("is a user without further rights now")
    expect(await login()).toMatchObject({ value: { user: { role: "user" } } })
    await eventually(
      async () => expect(await shop.call(contract.auth.me, {}, { token })).toMatchObject({ status: 401 }),
      { timeoutMs: 5_000 }
    )
  })

  test("migrate reports a database that is up to date", async () => {
    expect(await holdfast(["migrate"], env)).toMatchObject({
      code: 0,
      stdout: "the database is up to date\n"
    })
  })

  test.each([
    [{ HOLDFAST_MYSQL_URL: "not a url" }, "HOLDFAST_MYSQL_URL must be a URL that starts with mysql://"],
    [
      { HOLDFAST_MYSQL_URL: "postgres://localhost/x" },
      "HOLDFAST_MYSQL_URL must be a URL that starts with mysql://"
    ],
    [{ HOLDFAST_REDIS_URL: "localhost:6379" }, "HOLDFAST_REDIS_URL must be a URL that starts with redis://"],
    [
      { HOLDFAST_MYSQL_URL: "mysql://u:hunter2@127.0.0.1:1/x?ssl-mode=PREFERRED" },
      "HOLDFAST_MYSQL_URL has an ssl-mode that is not understood"
    ],
    [{ HOLDFAST_SECRET: "too short" }, "HOLDFAST_SECRET must have at least 32 characters"],
    [{ PORT: "70000" }, "PORT"],
    [{ HOLDFAST_ORDER_EXPIRES_AFTER: "Infinity" }, "HOLDFAST_ORDER_EXPIRES_AFTER must be a duration from 0"],
    [{ HOLDFAST_RETENTION: "20000 days" }, "HOLDFAST_RETENTION must be a duration from 0"],
    [{ HOLDFAST_CANCEL_PAID_WITHIN: "-Infinity" }, "HOLDFAST_CANCEL_PAID_WITHIN must be a duration from 0"],
    [{ HOLDFAST_ORDER_MAX_LINES: "0" }, "HOLDFAST_ORDER_MAX_LINES must be a whole number from 1"]
  ])(
    "wrong setting %j: the message names it, without its value, and the command ends with 2",
    async (wrong, message) => {
      const result = await holdfast(["verify"], { ...env, ...wrong })
      expect(result.code).toBe(2)
      expect(result.stderr).toContain(message)
      expect(result.stderr).not.toContain("too short")
      expect(result.stderr).not.toContain("hunter2")
    }
  )

  test("an unreachable database is reported on one line, without the password", async () => {
    const result = await holdfast(["verify"], {
      ...env,
      HOLDFAST_MYSQL_URL: "mysql://root:hunter2@127.0.0.1:1/x"
    })
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(/^holdfast: .*127\.0\.0\.1:1/)
    expect(result.stderr).not.toContain("hunter2")
  })

  test("a database without tables is reported to need a migration", async () => {
    const mysqlUrl = new URL(env["HOLDFAST_MYSQL_URL"]!)
    mysqlUrl.pathname = `/${shop.database}_empty`
    await shop.sql.query(`CREATE DATABASE ${shop.database}_empty`)
    try {
      const result = await holdfast(["verify"], { ...env, HOLDFAST_MYSQL_URL: mysqlUrl.href })
      expect(result).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("run `holdfast migrate` first")
      })
    } finally {
      await shop.sql.query(`DROP DATABASE ${shop.database}_empty`)
    }
  })

  test("no command and an unknown one show the usage and end with 2", async () => {
    expect(await holdfast([], env)).toMatchObject({
      code: 2,
      stdout: expect.stringContaining("holdfast serve")
    })
    expect(await holdfast(["frobnicate"], env)).toMatchObject({
      code: 2,
      stdout: expect.stringContaining("holdfast serve"),
      stderr: expect.stringContaining('Unknown subcommand "frobnicate"')
    })
  })

  test("an option that a command does not have is named and ends it with 2", async () => {
    expect(await holdfast(["verify", "--fast"], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--fast")
    })
  })

  test("--help and --version need no settings", async () => {
    expect(await holdfast(["verify", "--help"], {})).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("--json")
    })
    const { code, stdout } = await holdfast(["--version"], {})
    expect(code).toBe(0)
    expect(stdout).toMatch(/^holdfast v\d+\.\d+\.\d+\n$/)
  })
})
