import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Shop } from "../shop.ts"
import { testSettings } from "../settings.ts"
import { decodeSettings, encodeSettings } from "./messages.ts"
import { NODE_ARGUMENTS, ServerProcess } from "./server-process.ts"

/** Whether the server answers soon. */
const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/livez`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("a shop with two servers", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 3 })
  })
  afterAll(() => shop.stop())

  // Guarantees: what the races of the shop say about two processes is said about two processes.
  test("has two processes: the one can be frozen while the other one answers", async () => {
    const [here, there, further] = shop.servers
    expect(there!.pid).not.toBe(process.pid)
    expect(further!.pid).toBe(there!.pid)
    process.kill(there!.pid, "SIGSTOP")
    try {
      expect(await Promise.all([here, there!, further!].map(({ url }) => answers(url)))).toEqual([
        true,
        false,
        false
      ])
    } finally {
      process.kill(there!.pid, "SIGCONT")
    }
    await eventually(async () => expect(await answers(there!.url)).toBe(true))
  })

  test("has its calls answered by each of them in turn", async () => {
    const asked = await Promise.all(
      Array.from({ length: 6 }, () => shop.call(contract.auth.me, {}, shop.admin))
    )
    expect(asked.map(({ ok }) => ok)).toEqual(Array(6).fill(true))
    process.kill(shop.servers[1]!.pid, "SIGSTOP")
    try {
      const signal = () => AbortSignal.timeout(1_000)
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, () =>
          shop.call(contract.auth.me, {}, { token: shop.admin.token, signal: signal() })
        )
      )
      expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(4)
    } finally {
      process.kill(shop.servers[1]!.pid, "SIGCONT")
    }
  })

  test("says so when a worker is unknown or a server cannot start", async () => {
    await expect(shop.servers[1]!.round("no such worker")).rejects.toThrow("no worker is named")
    const unreachable = testSettings("mysql://root@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    await expect(ServerProcess.get().start(unreachable, "None")).rejects.toThrow("in the servers' process")
  })
})

test("settings arrive as they were sent, secrets too", () => {
  const sent = testSettings("mysql://root:secret@host/db", "redis://host/1", {
    cache: { freshMs: 1, staleMs: 2 },
    webhook: {
      url: "http://host/hook",
      secret: Redacted.make("a secret"),
      timeoutMs: 1,
      firstRetryMs: 2,
      maximumAttempts: 3
    }
  })
  const arrived = decodeSettings(encodeSettings(sent))
  expect(encodeSettings(arrived)).toBe(encodeSettings(sent))
  expect(Redacted.value(arrived.mysqlUrl)).toBe("mysql://root:secret@host/db")
  expect(Redacted.value(arrived.webhook!.secret)).toBe("a secret")
  expect(arrived).toMatchObject({ orders: sent.orders, cache: sent.cache, workers: false })
})

// Guarantees: a test runner that is killed leaves no server behind.
test("the process of the servers ends with the process that started it, also by SIGKILL", async () => {
  const program = `
    import { ServerProcess } from ${JSON.stringify(new URL("./server-process.ts", import.meta.url).href)}
    console.log(ServerProcess.get().pid)
    setInterval(() => {}, 1_000)
  `
  const parent = spawn(process.execPath, [...NODE_ARGUMENTS, "--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  try {
    const [line] = (await once(createInterface(parent.stdout), "line")) as [string]
    expect(isAlive(Number(line))).toBe(true)
    parent.kill("SIGKILL")
    await eventually(() => expect(isAlive(Number(line))).toBe(false), { deadlineMs: 20_000 })
  } finally {
    parent.kill("SIGKILL")
  }
})
