import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { Shop } from "../test/shop.ts"
import { TEST_SECRET } from "../test/settings.ts"

/** Runs the command as a user would: in a process of its own. */
const holdfast = (args: ReadonlyArray<string>, env: Record<string, string>) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const main = fileURLToPath(new URL("./cli.ts", import.meta.url))
    const command = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", main, ...args]
    execFile(
      process.execPath,
      command,
      { env: { PATH: process.env["PATH"] ?? "", ...env } },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr })
    )
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
