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

/** Whether the server answers within a second. */
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

  test("runs in two processes: one can be frozen while the other answers", async () => {
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

  test("spreads calls over its servers in turn", async () => {
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

  test("reports an unknown job and a server that cannot start", async () => {
    await expect(shop.servers[1]!.runJob("no such job")).rejects.toThrow("no job is named")
    const unreachable = testSettings("mysql://root@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    await expect(ServerProcess.get().start(unreachable, "None")).rejects.toThrow("in the servers' process")
  })
})

test("settings survive encoding, secrets included", () => {
  const sent = testSettings("mysql://root:secret@host/db", "redis://host/1", {
    cache: { freshMs: 1, staleMs: 2 },
    webhook: {
      url: "http://host/hook",
      secret: Redacted.make("a secret"),
      formerSecrets: [Redacted.make("an older secret")],
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

test("a killed test runner leaves no server process behind", async () => {
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
    await eventually(() => expect(isAlive(Number(line))).toBe(false), { timeoutMs: 20_000 })
  } finally {
    parent.kill("SIGKILL")
  }
})
