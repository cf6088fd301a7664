// Runs waves of calls through one client and measures what they leave behind. A process of its own, to measure its heap.
import diagnostics from "node:diagnostics_channel"
import { getEventListeners } from "node:events"
import type { Socket } from "node:net"
import { createClient } from "../index.ts"
import { orderInput } from "./fixtures.ts"

/** What remains after a wave, when all of its calls have settled and the garbage is collected. */
export interface Remains {
  readonly heapBytes: number
  readonly connections: number
  readonly timers: number
  /** Listeners on the signal that all calls share. */
  readonly signalListeners: number
  /** The most listeners on one connection. */
  readonly socketListeners: number
}

const sockets = new Set<Socket>()
diagnostics.channel("undici:client:connected").subscribe((message) => {
  const { socket } = message as { readonly socket: Socket }
  sockets.add(socket)
  socket.once("close", () => sockets.delete(socket))
})

const [, , url = "", waves = "0"] = process.argv
const client = createClient({ url, token: "t", maxConnections: 16 })
const { signal } = new AbortController()

/** A thousand concurrent calls: successes, failures and aborts. */
const wave = () =>
  Promise.all(
    Array.from({ length: 1000 }, (_, index) => {
      const sku = `SKU-${index}`
      if (index % 20 === 0) return leave()
      if (index % 5 === 0)
        return client.safe.orders.create({ lines: [{ sku: "SOLD", quantity: 1 }] }, { signal })
      if (index % 2 === 0) return client.orders.create(orderInput, { signal })
      return client.products.bySku({ sku }, { signal })
    })
  )

const leave = async () => {
  const controller = new AbortController()
  const call = client.orders.create(orderInput, { signal: controller.signal })
  controller.abort(new Error("left"))
  await call.catch(() => undefined)
}

const listenersOf = (socket: Socket) =>
  socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0)

const remains = async (): Promise<Remains> => {
  // Lets the queued callbacks of the last answers run first.
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  globalThis.gc?.()
  return {
    heapBytes: process.memoryUsage().heapUsed,
    connections: sockets.size,
    timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length,
    signalListeners: getEventListeners(signal, "abort").length,
    socketListeners: Math.max(0, ...[...sockets].map(listenersOf))
  }
}

const measured: Array<Remains> = []
for (let left = Number(waves); left > 0; left -= 1) {
  await wave()
  measured.push(await remains())
}
process.send?.(measured)
process.disconnect?.()
process.exit()
