import { eventually } from "@holdfast/testkit"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { describe, expect, test } from "vitest"
import { head, openSocket, type RawSocket, sendRaw, statusOf, statusOfGet } from "../../../test/raw-socket.ts"
import { testHttpSettings } from "../../../test/settings.ts"
import { lockProducts, Shop } from "../../../test/shop.ts"
import type { HttpSettings } from "../config.ts"

const openShop = (http: Partial<HttpSettings>) =>
  Shop.open({ settings: { http: { ...testHttpSettings, ...http } } })

/** The most connections that Linux keeps for a server that has not accepted them. */
function backlogOfSystem(): number {
  return Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"))
}

const memoryMb = () => {
  const { external, heapUsed } = process.memoryUsage()
  return (external + heapUsed) / 1e6
}

describe("a client that is slow", () => {
  test("to send is cut with 408: its headers, its body, or a connection without a byte", async () => {
    await using shop = await openShop({ receiveMs: 400 })
    const { url } = shop.servers[0]
    const start = head("POST /trpc/auth.login", "content-type: application/json", "content-length: 1000")
    expect(statusOf(await sendRaw(url, `${start}{`))).toBe(408)
    expect(statusOf(await sendRaw(url, start.slice(0, -2)))).toBe(408)
    expect(await sendRaw(url, "")).not.toContain(" 200 ")
    expect(await statusOfGet(url, "/livez")).toBe(200)
  })

  test("to read its answers is ended, and leaves its place to others", async () => {
    await using shop = await openShop({ maximumConnections: 3, stillMs: 1_000 })
    const { url } = shop.servers[0]
    using deaf = await openSocket(url, true)
    deaf.socket.write(head("GET /docs/js/scalar.js").repeat(20))
    using _other = await openSocket(url)
    using _third = await openSocket(url)
    expect(await statusOfGet(url, "/openapi.json")).toBe(503)
    await eventually(async () => expect(await statusOfGet(url, "/openapi.json")).toBe(200))
  })
})

// Guarantees: 1,000 clients that come back at once do not wait for a second to be let in.
test.runIf(process.platform === "linux" && backlogOfSystem() >= 1_000)(
  "connections that come all at once are all let in",
  async () => {
    await using shop = await openShop({})
    const { hostname, port } = new URL(shop.servers[0].url)
    const sockets = Array.from({ length: 1_000 }, () => connect(Number(port), hostname).on("error", () => {}))
    // They have been opened by now, and the server, which shares this thread, has accepted none.
    await new Promise((resolve) => process.nextTick(resolve))
    const establishing = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .filter((line) => line.includes(`:${Number(port).toString(16).toUpperCase().padStart(4, "0")} 02 `))
    for (const socket of sockets) socket.destroy()
    expect(establishing).toEqual([])
  }
)

describe("pipelined requests", () => {
  test("are answered in their order as long as the client reads", async () => {
    await using shop = await openShop({})
    const { url } = shop.servers[0]
    const requests = Array.from({ length: 60 }, (_, n) => head("GET /livez", `x-request-id: id-${n}-`))
    const answers = await sendRaw(url, requests.join("") + head("GET /livez", "connection: close"))
    expect([...answers.matchAll(/x-request-id: id-(\d+)-/g)].map(([, n]) => Number(n))).toEqual([
      ...Array(60).keys()
    ])
  })

  test("of clients that do not read fill no memory, and the others are served", async () => {
    await using shop = await openShop({})
    const { url } = shop.servers[0]
    await statusOfGet(url, "/openapi.json")
    const beforeMb = memoryMb()
    const deaf: Array<RawSocket> = []
    for (let count = 0; count < 10; count += 1) {
      const raw = await openSocket(url, true)
      deaf.push(raw)
      raw.socket.write(head("GET /openapi.json").repeat(400))
      expect(await statusOfGet(url, "/livez")).toBe(200)
    }
    expect(memoryMb() - beforeMb).toBeLessThan(150)
    for (const raw of deaf) raw.socket.destroy()
  })

  test("beyond what one connection may leave unanswered end the connection", async () => {
    await using shop = await openShop({})
    await shop.newProduct("SLOW", 1)
    await using lock = await lockProducts(shop)
    const asked = sendRaw(
      shop.servers[0].url,
      head(`GET /trpc/products.bySku?input=${encodeURIComponent('{"sku":"SLOW"}')}`).repeat(65)
    )
    expect(await asked).toBe("")
    await lock.release()
    expect(await shop.stockOf("SLOW")).toBe(1)
  })
})
