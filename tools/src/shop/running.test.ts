import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { announce, runningShop, withdraw } from "./running.ts"

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-running-"))
})
afterEach(() => rmSync(directory, { recursive: true }))

const shop = { url: "http://127.0.0.1:3000", mysqlUrl: "mysql://h", redisUrl: "redis://h" }
const leaveBehind = (content: object) =>
  writeFileSync(join(directory, "running.json"), JSON.stringify(content))

test("a shop runs from its announcement to its withdrawal", () => {
  expect(runningShop(directory)).toBeUndefined()
  announce(directory, shop)
  expect(runningShop(directory)).toMatchObject({ pid: process.pid, ...shop })
  withdraw(directory)
  expect(runningShop(directory)).toBeUndefined()
})

// Guarantees: a file that was left behind stops nobody, whoever has its process id now.
test.each([
  ["another process has the id", { pid: process.ppid, startedAt: "1", ...shop }],
  ["this process has the id", { pid: process.pid, startedAt: "1", ...shop }],
  ["process 1 has the id, and the file is of an earlier version", { pid: 1, ...shop }],
  ["no process has the id", { pid: 2 ** 30, startedAt: "1", ...shop }],
  ["there is no id", shop]
])("%s: no shop is running", (_case, content) => {
  leaveBehind(content)
  expect(runningShop(directory)).toBeUndefined()
})
