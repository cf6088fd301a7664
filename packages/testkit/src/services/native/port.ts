import { randomInt } from "node:crypto"
import { createServer } from "node:net"
import { SourceUnusable } from "../errors.ts"

/**
 * Below the range from which systems give local ports to outgoing connections (Linux: from 32768, macOS: from 49152).
 * A port inside it can be taken by any client while our server is down, even by one that connects to itself.
 */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const ATTEMPTS = 100

/** A port of 127.0.0.1 that was free a moment ago. Whoever uses it must cope with losing the race for it. */
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
