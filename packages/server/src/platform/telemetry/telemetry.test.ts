import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Effect, Logger, Redacted, Tracer } from "effect"
import { globSync, readFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { newCoupon } from "../../../test/sale.ts"
import { lockProducts, Shop } from "../../../test/shop.ts"
import { subscribe } from "../../../test/subscribe.ts"
import { type Family, familiesOf } from "../../../test/prometheus-text.ts"
import { jsonLog } from "./log.ts"

const TOKEN = "the token of the tests"
const page = readFileSync(new URL("../../../../../docs/metrics.md", import.meta.url), "utf8")

describe("/metrics", () => {
  let shop: Shop
  let families: ReadonlyMap<string, Family>
  beforeAll(async () => {
    shop = await Shop.open({
      settings: {
        workers: true,
        cache: { freshMs: 5_000, staleMs: 30_000 },
        metrics: { port: 0, token: Redacted.make(TOKEN) }
      }
    })
    const user = await shop.newUser(1_000)
    const sku = await shop.newProduct("TEA", 10)
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    await shop.ok(contract.coupons.issue, { couponId }, user)
    const order = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    await shop.call(contract.orders.create, { lines: [{ sku, quantity: 99 }] }, user)
    await shop.stockOf(sku)
    const watching = subscribe(shop.servers[0].url, contract.products.watchStock, { sku })
    await watching.next()
    await eventually(async () => {
      families = familiesOf(await scrape())
      expect(families.get("holdfast_job_items_total")).toBeDefined()
      expect(families.get("holdfast_outbox_behind")).toBeDefined()
    })
    watching.close()
  })
  afterAll(() => shop.stop())

  const scrape = async () => (await fetch(`http://127.0.0.1:${shop.servers[0].metricsPort}/metrics`)).text()

  test("is read on its own port, or with the token, and by nobody else", async () => {
    const url = `${shop.servers[0].url}/metrics`
    const status = async (authorization?: string) =>
      (await fetch(url, authorization === undefined ? {} : { headers: { authorization } })).status
    expect(await status()).toBe(401)
    expect(await status("Bearer another")).toBe(401)
    expect(await status(`Bearer ${TOKEN}`)).toBe(200)
    await using closed = await Shop.open()
    expect((await fetch(`${closed.servers[0].url}/metrics`)).status).toBe(404)
  })

  test("counts calls by procedure and outcome, and their durations", async () => {
    const calls = families.get("holdfast_calls_total")!
    const of = (procedure: string, outcome: string) =>
      calls.samples.find(({ labels }) => labels["procedure"] === procedure && labels["outcome"] === outcome)
        ?.value
    expect(of("orders.create", "ok")).toBeGreaterThanOrEqual(1)
    expect(of("orders.create", "OutOfStock")).toBeGreaterThanOrEqual(1)
    const durations = families
      .get("holdfast_call_ms")!
      .samples.filter(({ labels }) => labels["procedure"] === "orders.create")
    const count = durations.find(({ name }) => name.endsWith("_count"))!.value
    expect(count).toBe(of("orders.create", "ok")! + of("orders.create", "OutOfStock")!)
    expect(durations.find(({ labels }) => labels["le"] === "+Inf")!.value).toBe(count)
    expect(families.get("holdfast_subscriptions")!.samples[0]!.value).toBe(1)
  })

  // Guarantees: a label never holds what callers choose, so the number of series is bounded.
  test("no label holds a user, a product or any other thing that callers make", async () => {
    const text = await scrape()
    expect(text).not.toMatch(/TEA|[0-9a-f]{8}-[0-9a-f]{4}/)
    expect(text.split("\n").length).toBeLessThan(3_000)
  })

  test("is what docs/metrics.md says: every metric, its type, labels and meaning", () => {
    const documented = new Set(page.split("\n").filter((line) => line.startsWith("| `holdfast_")))
    const served = [...families].map(([name, { help, samples, type }]) => {
      const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)))
      labels.delete("le")
      return `| \`${name}\` | ${type} | ${[...labels].map((label) => `\`${label}\``).join(", ")} | ${help} |`
    })
    expect(served.filter((line) => !documented.has(line))).toEqual([])
    const sources = ["server", "locks"].flatMap((name) =>
      globSync(new URL(`../../../../${name}/src/**/*.ts`, import.meta.url).pathname).map((file) =>
        readFileSync(file, "utf8")
      )
    )
    const names = [...documented].map((line) => /`(\w+)`/.exec(line)![1]!)
    expect(
      names.filter(
        (name) => !sources.some((source) => source.includes(`"${name}"`) || source.includes(`TYPE ${name} `))
      )
    ).toEqual([])
  })

  // Guarantees: no panel and no alert waits for a metric that does not exist.
  test.each(["grafana/holdfast.json", "prometheus/alerts.yaml"])(
    "ops/%s asks for metrics and labels that exist",
    (file) => {
      const text = readFileSync(new URL(`../../../../../ops/${file}`, import.meta.url), "utf8")
      const rows = new Map(
        page
          .split("\n")
          .flatMap((line): ReadonlyArray<readonly [string, { type: string; labels: Set<string> }]> => {
            const [, name, type, labels] = /^\| `(holdfast_\w+)` \| (\w+) \| (.*?) \|/.exec(line) ?? []
            if (name === undefined) return []
            return [
              [
                name,
                { type: type!, labels: new Set([...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!)) }
              ]
            ]
          })
      )
      const asked = [...text.matchAll(/\b(holdfast_\w+?)(_bucket|_sum|_count)?\b(?:\{([^}]*)\})?/g)]
      expect(asked.length).toBeGreaterThan(8)
      for (const [whole, name = "", suffix, selector = ""] of asked) {
        const row = rows.get(name) ?? expect.fail(`${whole} is no metric`)
        if (suffix !== undefined) expect(row.type).toBe("histogram")
        for (const [, label = ""] of selector.matchAll(/(\w+)\s*[=!]~?/g))
          expect([...row.labels, "le", "job", "instance"]).toContain(label)
      }
      const grouped = [...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/))
      const labels = new Set([...rows.values()].flatMap((row) => [...row.labels]))
      expect(grouped.filter((label) => !labels.has(label) && !["le", "instance"].includes(label))).toEqual([])
    }
  )
})

describe("the log", () => {
  const linesOf = async (effect: Effect.Effect<unknown>, secrets: ReadonlyArray<string> = []) => {
    const lines: Array<string> = []
    const log = jsonLog(secrets, (line) => lines.push(line))
    await Effect.runPromise(effect.pipe(Effect.provide(Logger.layer([log]))))
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  test("has one shape, and no secret however it got into a line", async () => {
    const [line] = await linesOf(
      Effect.logWarning("hunter2 failed", { url: "mysql://u:hunter2@h" }, new Error("no hunter2")).pipe(
        Effect.annotateLogs({ requestId: "r-1" })
      ),
      ["hunter2"]
    )
    expect(line).toMatchObject({ level: "Warn", message: "*** failed", requestId: "r-1" })
    expect(Object.keys(line!).slice(0, 3)).toEqual(["time", "level", "message"])
    expect(JSON.stringify(line)).not.toContain("hunter2")
  })

  test("names the trace that somebody records, and no other", async () => {
    const line = Effect.logWarning("here").pipe(Effect.withSpan("call"))
    const outer = Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) })
    const [bare] = await linesOf(line.pipe(Effect.withTracerEnabled(false)))
    expect(bare).not.toHaveProperty("traceId")
    const [below] = await linesOf(
      line.pipe(Effect.withTracerEnabled(false), Effect.provideService(Tracer.ParentSpan, outer))
    )
    expect(below).toMatchObject({ traceId: outer.traceId, spanId: outer.spanId })
  })

  test("has what JSON cannot hold, and a cause", async () => {
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    const lines = await linesOf(
      Effect.logError("a defect", { big: 1n }, circle).pipe(Effect.andThen(Effect.logError("next")))
    )
    expect(lines.map(({ level }) => level)).toEqual(["Error", "Error"])
  })

  test("names the call of a slow statement, and its text without parameters", async () => {
    const written: Array<string> = []
    await using shop = await Shop.open()
    const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      written.push(String(text))
      return true
    })
    try {
      const beside = await shop.openBeside({ slowStatementMs: 100 }, "Info")
      await shop.newProduct("SLOW-SECRET", 1)
      const lock = await lockProducts(shop)
      const asked = fetch(
        `${beside.url}/trpc/products.bySku?input=${encodeURIComponent('{"sku":"SLOW-SECRET"}')}`,
        { headers: { "x-request-id": "slow-1" } }
      )
      await new Promise((resolve) => setTimeout(resolve, 300))
      await lock.release()
      expect((await asked).status).toBe(200)
    } finally {
      stdout.mockRestore()
    }
    const line = written
      .filter((text) => text.startsWith("{"))
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .find(({ message }) => message === "a statement was slow")
    expect(line).toMatchObject({ level: "Warn", requestId: "slow-1", procedure: "products.bySku" })
    expect(JSON.stringify(line)).toContain("from `products`")
    expect(JSON.stringify(line)).not.toContain("SLOW-SECRET")
  })
})
