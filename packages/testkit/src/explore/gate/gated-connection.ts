import type { Socket } from "node:net"
import type { Command, Dialogue, RequestFrame } from "../../faults/dialogue.ts"
import { headerBytes } from "../../faults/mysql-packets.ts"
import type { StepFilter } from "./steps.ts"

/** A command that waits at the gate. */
export interface HeldStep {
  readonly kind: "redis" | "sql"
  readonly label: string
  readonly command: Command
}

export interface GatedConnectionOptions {
  readonly kind: "redis" | "sql"
  readonly client: Socket
  readonly server: Socket
  readonly dialogue: Dialogue
  readonly steps: StepFilter
  /** Whether steps are held now. */
  readonly isHolding: () => boolean
  /** Told whenever a step arrives, is answered, or the connection ends. */
  readonly onChange: () => void
  /** Told when a step was answered. */
  readonly onReply?: (command: Command, bytes: Buffer) => void
  /** Told why the traffic cannot be followed; the connection is closed then. */
  readonly onFailure: (error: unknown) => void
}

/** More than this is not read from a client whose step is held: TCP slows it down. */
const MAX_QUEUED_BYTES = 16 * 1024 ** 2

type Queued = RequestFrame & { readonly step?: HeldStep }

/** One connection of a client, between it and the real server; its steps are held until they are released. */
export class GatedConnection {
  readonly kind: "redis" | "sql"
  readonly #options: GatedConnectionOptions
  /** What waits at the gate: a step first, then whatever came behind it. */
  readonly #queue: Array<Queued> = []
  #queuedBytes = 0
  #inFlight: Command | undefined
  /** All commands that went to the server and expect a reply. */
  readonly #unanswered = new Set<Command>()
  #swallowsReply: (() => void) | undefined
  #threadId: number | undefined
  #closed = false

  constructor(options: GatedConnectionOptions) {
    this.#options = options
    this.kind = options.kind
    const { client, server } = options
    client.setNoDelay(true)
    server.setNoDelay(true)
    client.on("data", (chunk: Buffer) => this.#read(() => this.#fromClient(chunk)))
    server.on("data", (chunk: Buffer) => this.#read(() => this.#fromServer(chunk)))
    server.on("drain", () => this.#regulate())
    client.on("drain", () => server.resume())
    for (const socket of [client, server]) {
      // A reset or refused connection is what the other side sees as an end; "close" follows.
      socket.on("error", () => {})
      socket.on("close", () => this.close())
    }
  }

  /** The number the SQL server gave this connection. */
  get threadId(): number | undefined {
    return this.#threadId
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The step that would go next. */
  get held(): HeldStep | undefined {
    return this.#queue[0]?.step
  }

  /** Whether a released step has not been answered. */
  get inFlight(): boolean {
    return this.#inFlight !== undefined
  }

  /** Whether the server owes a reply to anything, steps or not, but for commands that wait by themselves. */
  get awaitsReply(): boolean {
    for (const command of this.#unanswered) if (!this.#options.steps.mayBlock(command)) return true
    return false
  }

  /** Lets the held step go to the server, with what came behind it up to the next step. */
  release(): void {
    const first = this.#queue[0]?.step
    if (first === undefined) throw new Error("No step is held here.")
    this.#inFlight = first.command
    this.#flush()
  }

  /** Lets the held step go, keeps its reply from the client, and cuts the connection instead. */
  releaseAndLoseReply(onCut: () => void): void {
    this.#swallowsReply = onCut
    this.release()
  }

  /** Lets everything go that is held; for the time after a schedule. */
  open(): void {
    while (this.#queue.length > 0) this.#flush()
    this.#inFlight = undefined
  }

  /** Ends the connection on both sides, as when a cable is cut. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue.length = 0
    this.#unanswered.clear()
    this.#inFlight = undefined
    this.#options.client.destroy()
    this.#options.server.destroy()
    this.#swallowsReply?.()
    this.#options.onChange()
  }

  /** Steps of a stream that cannot be followed would be missed, so it is not passed on. */
  #read(handle: () => void): void {
    if (this.#closed) return
    try {
      handle()
    } catch (error) {
      this.#options.onFailure(error)
      this.close()
    }
  }

  #fromClient(chunk: Buffer): void {
    const { dialogue, steps, isHolding, onChange } = this.#options
    for (const frame of dialogue.requests(chunk)) {
      const { command } = frame
      if (command !== undefined && steps.isStep(command) && isHolding()) {
        this.#enqueue({ ...frame, step: { kind: this.kind, command, label: steps.label(command) } })
        onChange()
      } else if (this.#queue.length > 0) this.#enqueue(frame)
      else this.#send(frame)
    }
    this.#regulate()
  }

  #enqueue(frame: Queued): void {
    this.#queue.push(frame)
    this.#queuedBytes += frame.bytes.length
  }

  #flush(): void {
    do {
      const frame = this.#queue.shift()
      if (frame === undefined) break
      this.#queuedBytes -= frame.bytes.length
      this.#send(frame)
    } while (this.#queue[0] !== undefined && this.#queue[0].step === undefined)
    this.#regulate()
  }

  /** Reads on from the client unless too much waits here or at the server. */
  #regulate(): void {
    const { client, server } = this.#options
    if (this.#queuedBytes > MAX_QUEUED_BYTES || server.writableNeedDrain) client.pause()
    else client.resume()
  }

  #send({ bytes, command, expectsReply }: RequestFrame): void {
    if (command !== undefined && expectsReply) this.#unanswered.add(command)
    this.#options.server.write(bytes)
  }

  #fromServer(chunk: Buffer): void {
    const { client, server } = this.#options
    if (this.#swallowsReply === undefined && !client.write(chunk)) server.pause()
    for (const { command, ends, bytes } of this.#options.dialogue.replies(chunk)) {
      if (this.kind === "sql") this.#threadId ??= threadIdOf(bytes)
      if (!ends || command === undefined) continue
      this.#unanswered.delete(command)
      if (command !== this.#inFlight) continue
      this.#inFlight = undefined
      this.#options.onReply?.(command, bytes)
      if (this.#swallowsReply !== undefined) this.close()
      else this.#options.onChange()
    }
  }
}

/** The thread of a connection, from the server's greeting: version byte (10), version text, NUL, then four bytes. */
const threadIdOf = (greeting: Buffer): number | undefined => {
  const end = greeting.indexOf(0, headerBytes + 1)
  const isGreeting = greeting[headerBytes] === 10 && end >= 0 && end + 5 <= greeting.length
  return isGreeting ? greeting.readUInt32LE(end + 1) : undefined
}
