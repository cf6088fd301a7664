import { createServer } from "node:net"

/** A cluster's nodes also listen on their port plus 10,000, which must exist. */
const HIGHEST_PORT = 55_000

/** A port of this machine that is free at the moment. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer()
      server.on("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
      })
    })
    if (port > 0 && port <= HIGHEST_PORT) return port
  }
}
