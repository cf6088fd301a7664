import { once } from "node:events"
import { connect, type Socket } from "node:net"

/** A connection whose bytes a test writes and reads itself, as no client library would. */
export interface RawSocket extends Disposable {
  readonly socket: Socket
  /** Everything that was received. */
  readonly received: () => string
  /** Resolves with everything that was received when the server has ended the connection. */
  readonly ended: Promise<string>
}

/** Connects to a server, without reading when `isDeaf` is set. */
export const openSocket = async (url: string, isDeaf = false): Promise<RawSocket> => {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ""
  socket.on("error", () => {})
  const ended = once(socket, "close").then(() => text)
  if (!isDeaf) socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")))
  await once(socket, "connect")
  return { socket, received: () => text, ended, [Symbol.dispose]: () => socket.destroy() }
}

/** Sends bytes on a connection of their own and returns the answer, up to the end of the connection. */
export const sendRaw = async (url: string, bytes: string): Promise<string> => {
  using raw = await openSocket(url)
  raw.socket.write(bytes, "latin1")
  return await raw.ended
}

/** The first lines of a request, up to its body. */
export const head = (line: string, ...headers: ReadonlyArray<string>) =>
  [`${line} HTTP/1.1`, "host: shop", ...headers, "", ""].join("\r\n")

/** The status of the first of some answers. */
export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

/** The status that a path is answered with, on a connection of its own. */
export const statusOfGet = async (url: string, path: string) =>
  statusOf(await sendRaw(url, head(`GET ${path}`, "connection: close")))
