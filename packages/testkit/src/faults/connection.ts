import type { Socket } from "node:net"
import { pause, settler, withDeadline } from "../internal/promises.ts"
import type { Command, Dialogue, ReplyFrame, RequestFrame } from "./dialogue.ts"
import { FrameQueue } from "./frame-queue.ts"
import type { Direction } from "./latency.ts"
import type { CutHow, Rule } from "./rules.ts"

/** What a connection needs from its proxy. */
export interface Hub {
  /** Resolves when the direction is thawed; undefined when it is not frozen. */
  gate(direction: Direction): Promise<void> | undefined
  delayMs(direction: Direction, connection: number, command: Command | undefined): number
  /** Counts the command against all rules and returns the one that is due, if any. */
  dueRule(command: Command, connection: number): Rule | undefined
  note(what: string, detail: string, connection: number): void
}

/** A client's connection through the proxy. */
export interface ConnectionView {
  /** The number of the connection, from 1. */
  readonly id: number
  readonly isOpen: boolean
  /** The number of commands so far, by `command.verb`. */
  readonly commands: ReadonlyMap<string, number>
}

/** What waits in a queue: a frame that is due at `dueAt`, or the end of its side. */
type Item<Frame> =
  | { readonly kind: "frame"; readonly frame: Frame; readonly dueAt: number }
  | { readonly kind: "fin" }
  | { readonly kind: "reset" }

/** How long a cut waits for the replies to earlier commands, and a closing side for its peer to close. */
const drainMs = 1_000

/** A client's connection, its counterpart to the server, and the frames between them. */
export class ProxyConnection implements ConnectionView {
  readonly id: number
  readonly commands = new Map<string, number>()
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #dialogue: Dialogue
  readonly #hub: Hub
  readonly #requests: FrameQueue<Item<RequestFrame>>
  readonly #replies: FrameQueue<Item<ReplyFrame>>
  readonly #unanswered = new Set<Command>()
  readonly #rulesAfter = new Map<Command, Rule>()
  readonly #heldReply: Array<Buffer> = []
  readonly #closed = settler<void>()
  /** Resolves when the connection is cut or destroyed, and ends every wait. */
  readonly #over = settler<void>()
  #answered = settler<void>()
  #isCut = false

  constructor(id: number, client: Socket, upstream: Socket, dialogue: Dialogue, hub: Hub) {
    this.id = id
    this.#client = client
    this.#upstream = upstream
    this.#dialogue = dialogue
    this.#hub = hub
    this.#requests = new FrameQueue(client)
    this.#replies = new FrameQueue(upstream)
    this.#listen()
    this.#requests.run((item) => this.#handleRequest(item)).catch((error: unknown) => this.#fail(error))
    this.#replies.run((item) => this.#handleReply(item)).catch((error: unknown) => this.#fail(error))
  }

  get isOpen(): boolean {
    return !this.#client.destroyed
  }

  /** Resolves when both sides are closed. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** Ends the client's side as `how` says, and closes the server's side, which has received everything sent before. */
  cut(how: CutHow): void {
    if (this.#isCut) return
    this.#giveUp()
    if (how === "reset") this.#client.resetAndDestroy()
    else if (how === "close") endGently(this.#client)
    // Half-open: the client's data are discarded until the client closes.
    else this.#client.once("end", () => this.#client.destroy())
    this.#client.resume()
    endGently(this.#upstream)
  }

  /** Ends both sides immediately. */
  destroy(): void {
    this.#giveUp()
    this.#client.destroy()
    this.#upstream.destroy()
  }

  #giveUp(): void {
    this.#isCut = true
    this.#requests.stop()
    this.#replies.stop()
    this.#over.resolve()
  }

  #listen(): void {
    const settleWhenBothClosed = () => {
      if (this.#client.destroyed && this.#upstream.destroyed) this.#closed.resolve()
    }
    this.#client.on("data", (chunk) => this.#read("request", chunk))
    this.#upstream.on("data", (chunk) => this.#read("reply", chunk))
    this.#client.on("end", () => this.#requests.push({ kind: "fin" }, 0))
    this.#upstream.on("end", () => this.#replies.push({ kind: "fin" }, 0))
    this.#client.on("error", () => this.#requests.push({ kind: "reset" }, 0))
    this.#upstream.on("error", (error) => {
      if (!this.#isCut) this.#hub.note("server's side failed", error.message, this.id)
      this.#replies.push({ kind: "reset" }, 0)
    })
    this.#client.on("close", settleWhenBothClosed)
    this.#upstream.on("close", settleWhenBothClosed)
  }

  #read(direction: Direction, chunk: Buffer): void {
    if (this.#isCut) return
    try {
      if (direction === "request")
        for (const frame of this.#dialogue.requests(chunk))
          this.#requests.push(this.#frameItem(direction, frame), frame.bytes.length)
      else
        for (const frame of this.#dialogue.replies(chunk))
          this.#replies.push(this.#frameItem(direction, frame), frame.bytes.length)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Without understanding the stream, every rule about it would be wrong, so the connection ends. */
  #fail(error: unknown): void {
    this.#hub.note("protocol not understood", error instanceof Error ? error.message : String(error), this.id)
    this.destroy()
  }

  /** Delays count from arrival, so that pipelined commands are delayed together; the queue keeps their order. */
  #frameItem<Frame extends { readonly command?: Command }>(direction: Direction, frame: Frame): Item<Frame> {
    const dueAt = performance.now() + this.#hub.delayMs(direction, this.id, frame.command)
    return { kind: "frame", frame, dueAt }
  }

  async #handleRequest(item: Item<RequestFrame>): Promise<void> {
    await this.#untilFree("request", item.kind === "frame" ? item.dueAt : 0)
    if (this.#isCut) return
    if (item.kind !== "frame")
      return this.#endSide(this.#upstream, item.kind, this.#dialogue.leftoverRequests())
    const { bytes, command, expectsReply } = item.frame
    if (command !== undefined) {
      this.commands.set(command.verb, (this.commands.get(command.verb) ?? 0) + 1)
      const rule = this.#hub.dueRule(command, this.id)
      if (rule?.when === "before") await this.#applyBefore(rule, command)
      else if (rule !== undefined) this.#rulesAfter.set(command, rule)
      if (expectsReply) this.#unanswered.add(command)
    }
    await this.#write(this.#upstream, bytes)
  }

  async #handleReply(item: Item<ReplyFrame>): Promise<void> {
    await this.#untilFree("reply", item.kind === "frame" ? item.dueAt : 0)
    if (this.#isCut) return
    if (item.kind !== "frame") return this.#endSide(this.#client, item.kind, this.#dialogue.leftoverReplies())
    const { bytes, command, ends } = item.frame
    const rule = command === undefined ? undefined : this.#rulesAfter.get(command)
    if (command !== undefined && rule !== undefined) await this.#applyAfter(rule, command, item.frame)
    else await this.#write(this.#client, bytes)
    if (command === undefined || !ends) return
    this.#unanswered.delete(command)
    this.#answered.resolve()
  }

  /** Waits until the item is due and its direction is thawed. */
  async #untilFree(direction: Direction, dueAt: number): Promise<void> {
    const leftMs = dueAt - performance.now()
    if (leftMs > 0) await Promise.race([pause(leftMs), this.#over.promise])
    for (
      let gate = this.#hub.gate(direction);
      gate !== undefined && !this.#isCut;
      gate = this.#hub.gate(direction)
    )
      await Promise.race([gate, this.#over.promise])
  }

  /** Waits for the replies to earlier commands, so that the rule affects only this command, which is not sent yet. */
  async #applyBefore(rule: Rule, command: Command): Promise<void> {
    await this.#untilAnswered()
    if (rule.action.kind === "hold") return this.#hold(rule, command)
    this.#carryOutCut(rule, command, rule.action.how)
  }

  /** Holds the reply back until it is complete, because only then the server has certainly executed the command. */
  async #applyAfter(rule: Rule, command: Command, { bytes, ends }: ReplyFrame): Promise<void> {
    if (rule.action.kind === "hold") this.#heldReply.push(bytes)
    if (!ends) return
    this.#rulesAfter.delete(command)
    if (rule.action.kind === "cut") return this.#carryOutCut(rule, command, rule.action.how)
    await this.#hold(rule, command)
    await this.#write(this.#client, Buffer.concat(this.#heldReply.splice(0)))
  }

  #carryOutCut(rule: Rule, command: Command, how: CutHow): void {
    this.#hub.note(`cut (${how}) ${rule.when}`, command.text, this.id)
    this.cut(how)
    rule.fire(this.id, command)
  }

  async #hold(rule: Rule, command: Command): Promise<void> {
    if (rule.action.kind !== "hold") return
    this.#hub.note(`held ${rule.when}`, command.text, this.id)
    rule.fire(this.id, command)
    const released = Promise.race([rule.action.held.promise, this.#over.promise])
    const late = () => new Error(`the deadline of ${rule.timeoutMs} ms passed`)
    const why = await withDeadline(released, rule.timeoutMs, late).then(() => "", String)
    this.#hub.note("released", `${command.text} ${why}`.trim(), this.id)
  }

  /** Waits for the replies to all commands sent so far. The wait is bounded, because one of them may block. */
  async #untilAnswered(): Promise<void> {
    const endsAt = performance.now() + drainMs
    while (this.#unanswered.size > 0 && performance.now() < endsAt && !this.#isCut) {
      this.#answered = settler<void>()
      await Promise.race([this.#answered.promise, this.#over.promise, pause(endsAt - performance.now())])
    }
  }

  #endSide(side: Socket, how: "fin" | "reset", leftover: Buffer): void {
    if (how === "reset") side.resetAndDestroy()
    else if (leftover.length > 0) side.end(leftover)
    else side.end()
  }

  async #write(side: Socket, bytes: Buffer): Promise<void> {
    if (this.#isCut || !side.writable) return
    // Frames handled in the same turn of the event loop leave in one packet.
    side.cork()
    process.nextTick(() => side.uncork())
    if (side.write(bytes)) return
    const drained = settler<void>()
    side.once("drain", drained.resolve)
    side.once("close", drained.resolve)
    await Promise.race([drained.promise, this.#over.promise])
    side.off("drain", drained.resolve)
    side.off("close", drained.resolve)
  }
}

/** Sends pending data and a FIN, then waits a limited time for the peer's FIN. */
const endGently = (side: Socket): void => {
  const timer = setTimeout(() => side.destroy(), drainMs)
  side.once("close", () => clearTimeout(timer))
  side.once("end", () => side.destroy())
  side.resume()
  side.end()
}
