import type { Socket } from "node:net"
import type { Command, Dialogue, RequestFrame } from "../../faults/dialogue.ts"
import { headerBytes } from "../../faults/mysql-packets.ts"
import type { StepFilter } from "./steps.ts"

/** A command that waits at the gate. */
export interface HeldStep {
  readonly kind: "redis" | "sql"
  readonly label: string
  readonly command: Command
  /** Grows with each step of any connection. */
  readonly arrival: number
}

let arrivals = 0

interface GatedConnectionOptions {
  readonly kind: "redis" | "sql"
  readonly client: Socket
  readonly server: Socket
  readonly dialogue: Dialogue
  readonly steps: StepFilter
  /** Whether steps are held now. */
  readonly isHolding: () => boolean
  /** Called when a step arrives or is answered, and when the connection ends. */
  readonly onChange: () => void
  /** Called when a step arrives, whether or not it is held. */
  readonly onStep?: (step: HeldStep) => void
  /** Called when the client gets anything from the server. */
  readonly onDelivery?: () => void
  /** Called when a step is answered. */
  readonly onReply?: (command: Command, bytes: Buffer) => void
  /** Called when the traffic cannot be read; the connection is then closed. */
  readonly onFailure: (error: unknown) => void
}

/** Above this size, a client whose step is held is no longer read, and TCP slows it down. */
const MAX_QUEUED_BYTES = 16 * 1024 ** 2

type Queued = RequestFrame & { readonly step?: HeldStep }

/** One connection between a client and the real server. Its steps are held until they are released. */
export class GatedConnection {
  readonly kind: "redis" | "sql"
  readonly #options: GatedConnectionOptions
  /** What waits at the gate: a step, followed by everything that arrived after it. */
  readonly #queue: Array<Queued> = []
  #queuedBytes = 0
  #inFlight: Command | undefined
  /** All commands that were sent to the server and await a reply. */
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
      // A "close" event follows every error, and ends the other side.
      socket.on("error", () => {})
      socket.on("close", () => this.close())
    }
  }

  /** The SQL server's number of this connection. */
  get threadId(): number | undefined {
    return this.#threadId
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The step to be released next. */
  get held(): HeldStep | undefined {
    return this.#queue[0]?.step
  }

  /** Whether a released step awaits its reply. */
  get inFlight(): boolean {
    return this.#inFlight !== undefined
  }

  /** Whether any command awaits its reply, except blocking ones such as BLPOP. */
  get awaitsReply(): boolean {
    for (const command of this.#unanswered) if (!this.#options.steps.mayBlock(command)) return true
    return false
  }

  /** Sends the held step to the server, with everything that follows it up to the next step. */
  release(): void {
    const first = this.#queue[0]?.step
    if (first === undefined) throw new Error("No step is held here.")
    this.#inFlight = first.command
    this.#flush()
  }

  /** Sends the held step, withholds its reply from the client, and cuts the connection instead. */
  releaseAndLoseReply(onCut: () => void): void {
    this.#swallowsReply = onCut
    this.release()
  }

  /** Sends everything that is held, after a schedule. */
  open(): void {
    while (this.#queue.length > 0) this.#flush()
    this.#inFlight = undefined
  }

  /** Ends both sides of the connection. */
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

  /** A stream that cannot be read may contain steps, so its connection is closed. */
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
    const { dialogue, steps, isHolding, onChange, onStep } = this.#options
    for (const frame of dialogue.requests(chunk)) {
      const { command } = frame
      const step =
        command !== undefined && steps.isStep(command)
          ? { kind: this.kind, command, label: steps.label(command), arrival: arrivals++ }
          : undefined
      if (step !== undefined) onStep?.(step)
      if (step !== undefined && isHolding()) {
        this.#enqueue({ ...frame, step })
      } else if (this.#queue.length > 0) this.#enqueue(frame)
      else this.#send(frame)
    }
    this.#regulate()
    // Also for a part of a command, which shows that the client is not idle.
    onChange()
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

  /** Pauses the client while too much data waits here or at the server. */
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
    if (this.#swallowsReply === undefined) {
      if (!client.write(chunk)) server.pause()
      this.#options.onDelivery?.()
    }
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

/** The thread of a connection, from the server's greeting: version (10), version text, NUL, then the thread's number. */
const threadIdOf = (greeting: Buffer): number | undefined => {
  const end = greeting.indexOf(0, headerBytes + 1)
  const isGreeting = greeting[headerBytes] === 10 && end >= 0 && end + 5 <= greeting.length
  return isGreeting ? greeting.readUInt32LE(end + 1) : undefined
}
