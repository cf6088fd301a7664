import { fork } from "node:child_process"
import { once } from "node:events"
import type { IncomingMessage, ServerResponse } from "node:http"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { encodedOrder, encodedProduct } from "../testing/fixtures.ts"
import type { Remains } from "../testing/waves.ts"
import { startWireServer } from "../testing/wire-server.ts"

const WARM_UP = 5
const WAVES = 15

/** About 100 bytes per call: less than any leaked call, more than the engine's own variation. */
const GROWTH_BYTES = 1_000_000

const order = JSON.stringify({ result: { data: encodedOrder() } })
const product = JSON.stringify({ result: { data: encodedProduct("TEA") } })
const domain = { _tag: "OutOfStock", sku: "SOLD", requested: 1, available: 0 }
const data = { code: "CONFLICT", httpStatus: 409, requestId: "r", retryable: false, domain }
const soldOut = JSON.stringify({ error: { message: "no", code: -32009, data } })

/** Answers without tRPC, which would dominate the run time of the test. */
const answer = (request: IncomingMessage, response: ServerResponse): true => {
  let body = ""
  request.on("data", (chunk) => (body += String(chunk)))
  request.on("end", () => {
    const calls = (request.url?.split("?", 1)[0] ?? "").split(",").length
    response.writeHead(body.includes("SOLD") ? 409 : 200, { "content-type": "application/json" })
    if (request.method === "GET") response.end(`[${Array(calls).fill(product).join()}]`)
    else response.end(body.includes("SOLD") ? soldOut : order)
  })
  return true
}

const measure = async (): Promise<ReadonlyArray<Remains>> => {
  await using server = await startWireServer()
  server.intercept(answer)
  const program = fork(
    fileURLToPath(new URL("../testing/waves.ts", import.meta.url)),
    [server.url, String(WARM_UP + WAVES)],
    { execArgv: ["--expose-gc", "--conditions=holdfast-source"] }
  )
  const [measured] = (await once(program, "message")) as [ReadonlyArray<Remains>]
  return measured.slice(WARM_UP)
}

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

test(
  "waves of a thousand concurrent calls through one client leak no memory, timer or listener",
  { timeout: 180_000 },
  async () => {
    const measured = await measure()
    const heap = measured.map(({ heapBytes }) => heapBytes)
    const growth = mean(heap.slice(-5)) - mean(heap.slice(0, 5))
    expect(growth, `the heap after each wave: ${heap.join()}`).toBeLessThan(GROWTH_BYTES)
    const [first] = measured
    expect(measured.map(({ signalListeners }) => signalListeners)).toEqual(measured.map(() => 0))
    expect(measured.map(({ timers }) => timers)).toEqual(measured.map(() => 0))
    expect(measured.map(({ socketListeners }) => socketListeners)).toEqual(
      measured.map(() => first?.socketListeners)
    )
    expect(Math.max(...measured.map(({ connections }) => connections))).toBeLessThanOrEqual(16)
  }
)
