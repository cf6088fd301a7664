import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Fact } from "./demo/proof.ts"
import { type Command, runCommand } from "./testing/command.ts"

const directory = mkdtempSync(join(tmpdir(), "holdfast-demo-"))
const environment = {
  HOLDFAST_DATA: directory,
  HOST: "127.0.0.1",
  PORT: "0",
  HOLDFAST_ARGON2_MEMORY_KIB: "8",
  HOLDFAST_ARGON2_ITERATIONS: "1"
}
const demo = (...args: ReadonlyArray<string>) => runCommand("demo", args, environment).ended

describe("npm run demo", { timeout: 180_000 }, () => {
  let shop: Command
  beforeAll(async () => {
    shop = runCommand("start", [], environment)
    await shop.line(/serving on http/)
  }, 180_000)
  afterAll(async () => {
    shop.child.kill("SIGINT")
    await shop.ended
    rmSync(directory, { recursive: true })
  })

  test("sells exactly the available coupons and units, proves it, and can run again", async () => {
    for (const coupons of [5, 40]) {
      const ended = await demo("--users", "30", "--coupons", String(coupons), "--units", "7", "--json")
      expect(ended.code, ended.stderr + ended.stdout).toBe(0)
      const report = JSON.parse(ended.stdout) as {
        ok: boolean
        facts: ReadonlyArray<Fact>
        verify: { ok: boolean }
      }
      expect(report).toMatchObject({ ok: true, verify: { ok: true } })
      expect(report.facts).toContainEqual({
        what: "users who got a coupon",
        expected: Math.min(coupons, 30),
        found: Math.min(coupons, 30)
      })
      expect(report.facts).toContainEqual({ what: "users who got an order", expected: 7, found: 7 })
    }
  })

  test("prints the proof as text", async () => {
    const ended = await demo("--users", "2", "--coupons", "1", "--units", "1")
    expect(ended.stdout).toContain("The books are right.")
    expect(ended.stdout).toContain("Exactly N, proven.")
    expect(ended.stdout).toMatch(/Next:\n {2}npm run demo -- /)
    expect(ended.stderr).toMatch(/the race: 8\/8.* \| orders 1, coupons 1, OutOfStock 1/)
    expect(ended.stdout).toMatch(/ok {2}\s+1 {2}users who got a coupon/)
  })

  test.each([
    [["--users", "1"], '--users: "1". Expected: a whole number from 2 to 5000'],
    [["--units", "x"], '--units: "x". Expected: a whole number'],
    [["--nonsense"], "--nonsense"]
  ])("%j is refused with a message and the usage", async (args, message) => {
    const ended = await demo(...args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain(message)
    expect(ended.stderr).toContain("npm run demo -- ")
    expect(ended.stdout).toBe("")
  })

  test("reports that no shop runs, or that the administrator is not known", async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "holdfast-no-shop-"))
    const alone = { ...environment, HOLDFAST_DATA: elsewhere }
    const none = await runCommand("demo", [], alone).ended
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("npm start runs one") })
    const foreign = await runCommand("demo", [], { ...alone, HOLDFAST_URL: "http://127.0.0.1:1" }).ended
    expect(foreign).toMatchObject({ code: 2, stderr: expect.stringContaining("HOLDFAST_ADMIN_EMAIL") })
    rmSync(elsewhere, { recursive: true })
  })
})
