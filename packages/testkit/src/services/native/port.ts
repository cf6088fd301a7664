import { randomInt } from "node:crypto"
import { createServer } from "node:net"
import { SourceUnusable } from "../errors.ts"

/**
 * Below the range of local ports for outgoing connections (Linux: from 32768, macOS: from 49152). Any client could take
 * a port of that range while the server is down, even by connecting to itself.
 */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const ATTEMPTS = 100

/** A port of 127.0.0.1 that was just free. Another process may take it first, so the caller must retry. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (await isFree(port)) return port
  }
  throw new SourceUnusable(`no free port found between ${FIRST_PORT} and ${LAST_PORT}`)
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)))
  })
