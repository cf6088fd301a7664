import { assertOptions } from "../internal/options.ts"
import { connect, createServer, type Server, type Socket } from "node:net"
import { settler, type Settler } from "../internal/promises.ts"
import { urlThrough } from "../internal/urls.ts"
import { type Hub, ProxyConnection } from "./connection.ts"
import { type Command, type Dialogue, rawDialogue } from "./dialogue.ts"
import type { FaultProxy, FaultProxyOptions, LogEntry } from "./fault-proxy.ts"
import { type Direction, Latencies, type LatencyHandle, type LatencyOptions } from "./latency.ts"
import { mysqlDialogue } from "./mysql.ts"
import { respDialogue } from "./resp.ts"
import {
  type CutHow,
  type CutOptions,
  type HoldHandle,
  Rule,
  type RuleHandle,
  type RuleOptions
} from "./rules.ts"

/**
 * Starts a TCP proxy that reads the protocol of Redis or MySQL and breaks connections on command. TLS between client
 * and server is not supported.
 *
 * @throws Error (EADDRINUSE) when the wanted port is taken
 */
export const faultProxy = async (options: FaultProxyOptions): Promise<FaultProxy> => {
  const names = { upstream: true, protocol: true, seed: true, port: true, onLog: true } as const
  assertOptions("faultProxy", options, names)
  const proxy = new TcpFaultProxy(options)
  await proxy.accept()
  return proxy
}

const dialogues = { redis: respDialogue, mysql: mysqlDialogue, raw: rawDialogue } satisfies Record<
  FaultProxyOptions["protocol"],
  () => Dialogue
>

const ofRules = { when: true, match: true, nth: true, timeoutMs: true, connection: true } as const

const keptConnections = 1_000
const keptLogEntries = 10_000

class TcpFaultProxy implements FaultProxy {
  readonly host = "127.0.0.1"
  readonly seed: number | string
  readonly connections: Array<ProxyConnection> = []
  readonly log: Array<LogEntry> = []
  readonly #options: FaultProxyOptions
  readonly #latencies: Latencies
  readonly #server: Server
  readonly #open = new Set<ProxyConnection>()
  readonly #rules = new Set<Rule>()
  readonly #counts = new Map<string, number>()
  readonly #gates: { request?: Settler<void>; reply?: Settler<void> } = {}
  readonly #startedAt = performance.now()
  #port: number
  #nextConnection = 1
  #turnsAway = false

  constructor(options: FaultProxyOptions) {
    this.#options = options
    this.seed = options.seed ?? 1
    this.#latencies = new Latencies(this.seed)
    this.#port = options.port ?? 0
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#connected(client))
  }

  get port(): number {
    return this.#port
  }

  through(url: string): string {
    return urlThrough(url, this)
  }

  cut(options: CutOptions): RuleHandle {
    assertOptions("cut", options, { ...ofRules, how: true, times: true, chance: true })
    return this.#addRule(
      new Rule("cut", { kind: "cut", how: options.how ?? "close" }, options, this.#context())
    )
  }

  hold(options: RuleOptions): HoldHandle {
    assertOptions("hold", options, ofRules)
    return this.#addRule(new Rule("hold", { kind: "hold", held: settler<void>() }, options, this.#context()))
  }

  latency(options: LatencyOptions): LatencyHandle {
    if (options.match !== undefined) this.#assertUnderstands("latency with a match")
    this.#note("latency", JSON.stringify(options.ms))
    return this.#latencies.add(options)
  }

  freeze(direction: Direction | "both" = "both"): void {
    this.#note("frozen", direction)
    if (direction !== "reply") this.#gates.request ??= settler<void>()
    if (direction !== "request") this.#gates.reply ??= settler<void>()
  }

  thaw(): void {
    this.#note("thawed", "")
    this.#gates.request?.resolve()
    this.#gates.reply?.resolve()
    delete this.#gates.request
    delete this.#gates.reply
  }

  async refuse(how: "closed" | "refused" = "closed"): Promise<void> {
    this.#note("refuses", how)
    this.#turnsAway = true
    // `close` stops listening at once; its callback would wait for the open connections.
    if (how === "refused" && this.#server.listening) this.#server.close()
  }

  async accept(): Promise<void> {
    this.#turnsAway = false
    if (this.#server.listening) return
    const listening = settler<void>()
    this.#server.once("error", listening.reject)
    this.#server.listen(this.#port, this.host, listening.resolve)
    await listening.promise
    this.#server.off("error", listening.reject)
    const address = this.#server.address()
    if (address !== null && typeof address === "object") this.#port = address.port
    this.#note("accepts", `on port ${this.#port}`)
  }

  halfOpen(): void {
    this.#note("half-open", `${this.#open.size} connections`)
    for (const connection of this.#open) connection.cut("halfOpen")
  }

  cutAll(how: Exclude<CutHow, "halfOpen"> = "close"): void {
    this.#note(`cut all (${how})`, `${this.#open.size} connections`)
    for (const connection of this.#open) connection.cut(how)
  }

  get overdue(): ReadonlyArray<string> {
    return [...this.#rules].flatMap((rule) => rule.overdue ?? [])
  }

  count(verb: string): number {
    return this.#counts.get(verb.toUpperCase()) ?? 0
  }

  async close(): Promise<void> {
    for (const rule of this.#rules) rule.disarm("before the proxy was closed")
    this.#rules.clear()
    this.thaw()
    this.#turnsAway = true
    const open = [...this.#open]
    for (const connection of open) connection.destroy()
    if (this.#server.listening) this.#server.close()
    await Promise.all(open.map((connection) => connection.closed))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #connected(client: Socket): void {
    client.on("error", () => {})
    if (this.#turnsAway) {
      this.#note("turned away", "a new connection")
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ ...this.#options.upstream, allowHalfOpen: true, noDelay: true })
    const dialogue = dialogues[this.#options.protocol]()
    const connection = new ProxyConnection(this.#nextConnection++, client, upstream, dialogue, this.#hub)
    this.connections.push(connection)
    if (this.connections.length > keptConnections) this.connections.shift()
    this.#open.add(connection)
    this.#note("opened", "", connection.id)
    void connection.closed.then(() => {
      this.#open.delete(connection)
      this.#note("closed", "", connection.id)
    })
  }

  readonly #hub: Hub = {
    gate: (direction) => this.#gates[direction]?.promise,
    delayMs: (direction, connection, command) => this.#latencies.delayMs(direction, connection, command),
    dueRule: (command, connection) => this.#dueRule(command, connection),
    note: (what, detail, connection) => this.#note(what, detail, connection)
  }

  /** Every rule counts the command; the first one that is due takes it. */
  #dueRule(command: Command, connection: number): Rule | undefined {
    this.#counts.set(command.verb, (this.#counts.get(command.verb) ?? 0) + 1)
    let taken: Rule | undefined
    for (const rule of this.#rules) if (rule.isDue(command, connection, taken !== undefined)) taken = rule
    return taken
  }

  #addRule(rule: Rule): Rule {
    this.#assertUnderstands("a rule about commands")
    for (const old of this.#rules) if (old.isFinished && old.overdue === undefined) this.#rules.delete(old)
    this.#rules.add(rule)
    return rule
  }

  #assertUnderstands(what: string): void {
    if (this.#options.protocol === "raw")
      throw new TypeError(`${what} needs protocol "redis" or "mysql", not "raw"`)
  }

  #context() {
    return { seed: this.seed, now: () => this.#nowMs(), describeSeen: () => this.#describeSeen() }
  }

  #describeSeen(): string {
    const verbs = [...this.#counts].toSorted(([, left], [, right]) => right - left).slice(0, 12)
    const problems = this.log.filter((entry) => entry.what === "protocol not understood").slice(-1)
    const parts = [
      ...verbs.map(([verb, count]) => `${verb} ${count}`),
      ...problems.map((entry) => entry.detail)
    ]
    return parts.join(", ") || "no command at all"
  }

  #nowMs(): number {
    return performance.now() - this.#startedAt
  }

  #note(what: string, detail: string, connection?: number): void {
    const entry: LogEntry = {
      atMs: this.#nowMs(),
      what,
      detail: detail.slice(0, 500),
      ...(connection === undefined ? {} : { connection })
    }
    this.log.push(entry)
    if (this.log.length > keptLogEntries) this.log.shift()
    this.#options.onLog?.(entry)
  }
}
