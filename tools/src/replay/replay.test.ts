import { createClient } from "@holdfast/client-sdk"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, describe, expect, test } from "vitest"
import { type Ended, runCommand } from "../testing/command.ts"
import type { ReplayReport } from "./report.ts"
import { randomStream } from "@holdfast/testkit/faults"

const directory = mkdtempSync(join(tmpdir(), "holdfast-replay-"))
afterAll(() => rmSync(directory, { recursive: true }))

const HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

/**
 * Invoices that compete for a few products, with the peculiarities of the real data set: repeated stock codes,
 * write-offs, free products, cancellations, rows without a customer, and a malformed line.
 */
const invoices = (count: number): string => {
  const random = randomStream(42, "invoices")
  const pick = (below: number) => Math.floor(random() * below)
  const lines = [HEADER]
  const add = (invoice: string, sku: string, quantity: number, price: string, customer: string) =>
    lines.push(
      `${invoice},${sku},"${sku}, ""the best""",${quantity},2010-12-01 08:26:00,${price},${customer},UK`
    )
  for (let number = 1; number <= count; number++) {
    const customer = pick(4) === 0 ? "" : `${10_000 + pick(15)}.0`
    for (let line = pick(6); line >= 0; line--)
      add(`5${number}`, `SKU ${pick(12)}`, 1 + pick(9), ["2.55", "1.005", "0.42"][pick(3)]!, customer)
    if (pick(10) === 0) add(`5${number}`, `SKU ${pick(12)}`, -pick(5), "0", customer)
    if (pick(10) === 0) add(`5${number}`, "FREE", 1, "0", customer)
    if (pick(8) === 0) add(`C5${number}`, `SKU ${pick(12)}`, -1 - pick(3), "2.55", customer)
  }
  add("59999", "SKU 1", -4, "0", "")
  lines.push("59998,SKU 1,half a line")
  return lines.join("\n")
}

const FILE = join(directory, "invoices.csv.gz")
const ORDERS = 100
const text = invoices(ORDERS)
writeFileSync(FILE, gzipSync(text))
const rowCount = text.split("\n").length - 1

/** Each test has its own data directory. */
const newEnvironment = () => ({
  HOLDFAST_DATA: mkdtempSync(join(directory, "data-")),
  HOLDFAST_PROGRESS_MS: "20"
})
const replayIn =
  (environment: Readonly<Record<string, string>>) =>
  (...args: ReadonlyArray<string>) =>
    runCommand("replay", [FILE, "--json", ...args], environment)

const reportOf = ({ stderr, stdout }: Ended): ReplayReport => {
  if (stdout === "") throw new Error(`there is no report:\n${stderr}`)
  return JSON.parse(stdout) as ReplayReport
}

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((total, count) => total + count, 0)

/** The part of a report that a repetition leaves as it is: not the times, and not how often customers have logged in. */
const repeatable = ({ ordersPerSecond: _rate, seconds: _seconds, verify, ...rest }: ReplayReport) => ({
  ...rest,
  checks: verify.checks.map((check) => (check.name === "audit trail" ? { ...check, checked: 0 } : check))
})

const brokenChecks = ({ verify }: ReplayReport) => verify.checks.filter(({ ok }) => !ok)

describe("the replay", { timeout: 400_000 }, () => {
  test("sells everything at factor 1, proves it, and doubles nothing when it is repeated", async () => {
    const environment = newEnvironment()
    const replay = replayIn(environment)
    const first = await replay("--workers", "16").ended
    const report = reportOf(first)
    expect(brokenChecks(report)).toEqual([])
    expect(first.code).toBe(0)
    expect(report).toMatchObject({
      orders: { placed: ORDERS, paid: ORDERS, refused: {}, skipped: { "no line left": 1 } },
      verify: { ok: true }
    })
    expect(report.lines.skipped).toMatchObject({
      "malformed columns": 1,
      "product of price 0": expect.any(Number)
    })
    expect(report.returns).toBeGreaterThan(5)
    expect(report.lines.ordered + report.returns + sum(report.lines.skipped)).toBe(rowCount)
    expect(report.verify.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["stock", "balances", "replay: stock", "replay: orders", "replay: refusals"])
    )

    const again = await replay("--workers", "16").ended
    expect(again.stderr).toContain("continuing in database")
    expect(repeatable(reportOf(again))).toEqual(repeatable(report))

    const fresh = await replay("--workers", "16", "--fresh").ended
    expect(fresh.stderr).toContain("made database")
    expect(reportOf(fresh)).toMatchObject({ orders: report.orders, revenueMinor: report.revenueMinor })

    // Only its owner may read the secret.
    const secret = join(environment.HOLDFAST_DATA, "replay", "secret")
    expect(readFileSync(secret, "utf8")).toMatch(/^[0-9a-f]{64}$/)
    expect(statSync(secret).mode & 0o077).toBe(0)
  })

  test("refuses below factor 1 only orders for which the stock is too small", async () => {
    const ended = await replayIn(newEnvironment())("--stock-factor", "0.5").ended
    const report = reportOf(ended)
    expect(brokenChecks(report)).toEqual([])
    expect(ended.code).toBe(0)
    expect(Object.keys(report.orders.refused)).toEqual(["OutOfStock"])
    expect(report.orders.placed + sum(report.orders.refused)).toBe(ORDERS)
    expect(report.orders.paid).toBe(report.orders.placed)
    expect(report.returns).toBe(0)
    expect(report.lines.skipped).toMatchObject({ "return with stock below demand": expect.any(Number) })
  })

  test("continues after it or its server is killed, and places no order twice", async () => {
    const replay = replayIn(newEnvironment())
    const options = ["--stock-factor", "0.8", "--seed", "9", "--workers", "4"] as const
    const killed = replay(...options)
    await killed.line(/^orders: [1-9]\d*\//)
    killed.child.kill("SIGKILL")
    expect((await killed.ended).stdout).toBe("")

    const withoutServer = replay(...options)
    const [, pid] = await withoutServer.line(/^server process (\d+)/)
    await withoutServer.line(/^orders: [1-9]\d*\//)
    process.kill(Number(pid), "SIGKILL")
    const ended = await withoutServer.ended
    expect(ended.stderr).toContain("the server ended; started it again")
    const report = reportOf(ended)
    expect(brokenChecks(report)).toEqual([])
    expect(ended.code).toBe(0)
    expect(report.orders.placed + sum(report.orders.refused)).toBe(ORDERS)
  })

  test("stops cleanly on request, and says how to continue", async () => {
    const stopped = replayIn(newEnvironment())("--seed", "5", "--workers", "2")
    await stopped.line(/^orders: [1-9]\d*\//)
    stopped.child.kill("SIGINT")
    const ended = await stopped.ended
    expect(ended.code).toBe(130)
    expect(ended.stderr).toContain("the same command continues from here")
    expect(ended.stdout).toBe("")
  })

  test("uses a running server, audits its database, and exits with 1 when the books differ from the file", async () => {
    const environment = newEnvironment()
    const shop = runCommand("start", [], { ...environment, PORT: "0" })
    const [, url = ""] = await shop.line(/serving on (http\S+)/)
    const { mysqlUrl } = JSON.parse(
      readFileSync(join(environment.HOLDFAST_DATA, "shop", "running.json"), "utf8")
    )
    const [, email = "", password = ""] = /administrator\s+(\S+)\s+(\S+)/.exec(shop.stdout()) ?? []
    const foreign = {
      ...environment,
      HOLDFAST_URL: url,
      HOLDFAST_ADMIN_EMAIL: email,
      HOLDFAST_ADMIN_PASSWORD: password,
      HOLDFAST_MYSQL_URL: mysqlUrl
    }
    const replayThere = () => runCommand("replay", [FILE, "--json"], foreign).ended

    const right = await replayThere()
    expect(brokenChecks(reportOf(right))).toEqual([])
    expect(right.code).toBe(0)
    expect(reportOf(right)).toMatchObject({ orders: { placed: ORDERS, paid: ORDERS } })

    const admin = createClient({ url, auth: { email, password } })
    await admin.admin.adjustStock({ sku: "SKU 1", delta: 1, reason: "found behind the shelf" })
    const wrong = await replayThere()
    expect(wrong.code).toBe(1)
    expect(reportOf(wrong).verify.ok).toBe(false)
    expect(brokenChecks(reportOf(wrong))).toMatchObject([
      { name: "replay: stock", problems: [{ sku: "SKU 1" }] }
    ])

    shop.child.kill("SIGINT")
    expect((await shop.ended).code).toBe(0)
  })

  test.each<[string, ReadonlyArray<string>, Readonly<Record<string, string>>, number, RegExp]>([
    ["no file argument", [], {}, 2, /^replay: Missing required argument: FILE$/m],
    ["a missing file", [join(directory, "gone.csv")], {}, 1, /^replay: there is no file .*gone\.csv$/m],
    ["an invalid worker count", [FILE, "--workers", "x"], {}, 2, /--workers: "x"\. Expected: a whole number/],
    ["an invalid server URL", [FILE], { HOLDFAST_URL: "nowhere" }, 1, /HOLDFAST_URL=nowhere is not a URL/],
    [
      "a server without an administrator",
      [FILE],
      { HOLDFAST_URL: "http://127.0.0.1:9" },
      1,
      /needs HOLDFAST_ADMIN_EMAIL/
    ]
  ])("reports %s", async (_case, args, changes, code, message) => {
    const ended = await runCommand("replay", args, { ...newEnvironment(), ...changes }).ended
    expect(ended.code).toBe(code)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
  })
})
