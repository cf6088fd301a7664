import { connect, type Socket } from "node:net"
import { Duplex } from "node:stream"

/** How long one host of several may take to accept a connection. */
const ATTEMPT_MS = 1_000

/** A connection to the first of several hosts that accepts one. It fails with the error of the last host. */
export class DialledStream extends Duplex {
  /** What Node compares a certificate with when no server name was sent. */
  _host: string | undefined
  private socket: Socket | undefined
  private readonly hosts: ReadonlyArray<{ readonly host: string; readonly port: number }>

  constructor(hosts: ReadonlyArray<{ readonly host: string; readonly port: number }>) {
    super()
    this.hosts = hosts
    this.dial(0)
  }

  private dial(index: number): void {
    const { host, port } = this.hosts[index]!
    const socket = connect({ host, port, noDelay: true, keepAlive: true })
    this.socket = socket
    this._host = host
    const isLast = index === this.hosts.length - 1
    if (!isLast)
      socket.setTimeout(ATTEMPT_MS, () => socket.destroy(new Error(`no answer of ${host}:${port}`)))
    const next = (error: Error) => (isLast || this.destroyed ? this.destroy(error) : this.dial(index + 1))
    socket.once("error", next)
    socket.once("connect", () => {
      socket.setTimeout(0)
      socket.off("error", next)
      this.attach(socket)
    })
  }

  private attach(socket: Socket): void {
    socket.on("error", (error) => this.destroy(error))
    socket.on("data", (chunk: Buffer) => void (this.push(chunk) || socket.pause()))
    socket.on("end", () => void this.push(null))
    socket.on("close", () => this.destroy())
    this.emit("connect")
  }

  override _read(): void {
    this.socket?.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.socket!.write(chunk, encoding, callback)
  }

  override _final(callback: () => void): void {
    this.socket!.end(callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Not before the socket: whoever hears of the end first, the driver has to hear the reason before it.
    const { socket } = this
    if (socket === undefined || socket.closed) return callback(error)
    socket.once("close", () => callback(error))
    socket.destroy()
  }
}
