import { connect, type Socket } from "node:net"

/** An answer to one request: its status, and how long it took from the request's first byte to its own last. */
export interface Answer {
  /** 0 when the connection ended without an answer. */
  readonly status: number
  /** Read as Latin-1, which keeps ASCII as it is. */
  readonly body: string
  readonly latencyMs: number
}

/** Connections that are kept open, each with at most one request in flight. */
export interface Connections {
  readonly open: () => number
  /** Sends a request on the next free connection; `undefined` when all are busy. */
  readonly send: (request: string) => Promise<Answer> | undefined
  readonly close: () => void
}

/** How many connections are opened at a time. */
const OPENED_AT_ONCE = 100

/** Opens connections that speak just enough HTTP to be cheap: the measuring process shares the machine with the server. */
export const openConnections = async (url: string, count: number): Promise<Connections> => {
  const { hostname, port } = new URL(url)
  const free: Array<Connection> = []
  const all = new Set<Connection>()
  for (let opened = 0; opened < count; opened += OPENED_AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(OPENED_AT_ONCE, count - opened) }, async () => {
        const connection = await Connection.open(Number(port), hostname)
        all.add(connection)
        free.push(connection)
        connection.onFree = () => free.push(connection)
        connection.onClose = () => all.delete(connection)
      })
    )
  const nextFree = (): Connection | undefined => {
    // The one that was used last comes last, so that all of them are used.
    for (;;) {
      const connection = free.shift()
      if (connection === undefined || all.has(connection)) return connection
    }
  }
  return {
    open: () => all.size,
    send: (request) => nextFree()?.send(request),
    close: () => all.forEach((connection) => connection.close())
  }
}

const STATUS = /^HTTP\/1\.1 (\d{3})/
const LENGTH = /content-length: (\d+)/i

/** Ends an answer whose length the server did not say (RFC 9112, section 7.1). */
const LAST_CHUNK = "0\r\n\r\n"

/** The content of chunks, each of which begins with its length. */
const joined = (chunks: string): string => {
  let content = ""
  for (let at = 0; ;) {
    const start = chunks.indexOf("\r\n", at) + 2
    const length = Number.parseInt(chunks.slice(at, start), 16)
    if (!(length > 0)) return content
    content += chunks.slice(start, start + length)
    at = start + length + 2
  }
}

class Connection {
  onFree = () => {}
  onClose = () => {}
  private readonly socket: Socket
  private received = ""
  private sentAtMs = 0
  private settle: ((answer: Answer) => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (chunk: Buffer) => this.receive(chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      this.onClose()
      this.answer(0, "")
    })
  }

  /**
   * An open connection whose server has answered. The system calls one open that its server has not accepted yet, and what
   * is sent on too many of those gets lost and is sent again after seconds.
   */
  static open(port: number, host: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        const connection = new Connection(socket)
        void connection.send(`GET /livez HTTP/1.1\r\nhost: ${host}\r\n\r\n`).then(() => resolve(connection))
      })
    })
  }

  send(request: string): Promise<Answer> {
    this.sentAtMs = performance.now()
    this.received = ""
    this.socket.write(request)
    return new Promise((resolve) => (this.settle = resolve))
  }

  close(): void {
    this.socket.destroy()
  }

  private receive(text: string): void {
    this.received += text
    const end = this.received.indexOf("\r\n\r\n")
    if (end === -1) return
    const length = LENGTH.exec(this.received)?.[1]
    const body = this.received.slice(end + 4)
    if (length === undefined ? !body.endsWith(LAST_CHUNK) : body.length < Number(length)) return
    const status = Number(STATUS.exec(this.received)?.[1])
    this.onFree()
    this.answer(status, length === undefined ? joined(body) : body)
  }

  private answer(status: number, body: string): void {
    const { settle } = this
    this.settle = undefined
    settle?.({ status, body, latencyMs: performance.now() - this.sentAtMs })
  }
}
