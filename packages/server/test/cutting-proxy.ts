import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import type { AddressInfo } from "node:net"

/** When a connection is cut: before the request is forwarded, in the middle of the response, or instead of it. */
export type Cut = "before" | "during" | "after" | "never"

export interface CuttingProxy extends AsyncDisposable {
  readonly url: string
  /** How many requests met each fate. */
  readonly fates: ReadonlyMap<Cut, number>
  /** Cuts all open connections and returns their number. */
  readonly cutAll: () => number
}

/**
 * A proxy before an HTTP server that decides for each request when its connection is cut. It parses no HTTP: the first
 * bytes of a connection, and the first after a response, begin a request. (The testkit's fault proxy matches commands of
 * Redis and MySQL; it cannot tell HTTP requests apart.)
 * @param fateOf called once for every request
 */
export const startCuttingProxy = async (target: string, fateOf: () => Cut): Promise<CuttingProxy> => {
  const { hostname, port } = new URL(target)
  const fates = new Map<Cut, number>()
  const open = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on("error", () => socket.destroy())
      socket.on("close", () => {
        open.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    let fate: Cut | undefined
    client.on("data", (chunk) => {
      if (fate === undefined) {
        fate = fateOf()
        fates.set(fate, (fates.get(fate) ?? 0) + 1)
      }
      if (fate === "before") client.destroy()
      else upstream.write(chunk)
    })
    upstream.on("data", (chunk) => {
      const met = fate
      fate = undefined
      if (met === "after") client.destroy()
      else if (met === "during") client.write(chunk.subarray(0, chunk.length / 2), () => client.destroy())
      else client.write(chunk)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")

  const { port: ownPort } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${ownPort}`,
    fates,
    cutAll: () => {
      const clients = [...open].filter((socket) => socket.localPort === ownPort)
      for (const socket of clients) socket.destroy()
      return clients.length
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, "close")
    }
  }
}
