import { once } from "node:events"
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net"
import type { Command } from "../../faults/dialogue.ts"
import { mysqlDialogue } from "../../faults/mysql.ts"
import { respDialogue } from "../../faults/resp.ts"
import { GatedConnection, type HeldStep } from "./gated-connection.ts"
import type { Signal } from "./signal.ts"
import { redisSteps, sqlSteps, type StepFilter } from "./steps.ts"

/** Where a real server listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

interface Upstreams {
  readonly redis?: Address
  readonly sql?: Address
}

/** The ports of 127.0.0.1 that a client connects to instead. 0 for a server that the scenario does not have. */
export interface Ports {
  readonly redis: number
  readonly sql: number
}

interface LaneOptions {
  readonly upstreams: Upstreams
  readonly signal: Signal
  readonly isHolding: () => boolean
  /** Changes the labels of steps; see `Scenario.label`. */
  readonly relabel?: ((label: string) => string) | undefined
  readonly onStep?: (step: HeldStep, connection: GatedConnection) => void
  readonly onDelivery?: () => void
  readonly onReply?: (command: Command, reply: Buffer, connection: GatedConnection) => void
  /** Called when a connection cannot be read, for example because of TLS; it is then closed. */
  readonly onFailure: (error: unknown) => void
}

/** One client's ports, and all its connections through them. */
export class Lane {
  readonly #options: LaneOptions
  readonly #servers: ReadonlyArray<Server>
  readonly ports: Ports
  #connections: Array<GatedConnection> = []
  #refuses = false

  static async open(options: LaneOptions): Promise<Lane> {
    const servers = {
      redis: await listen(options.upstreams.redis),
      sql: await listen(options.upstreams.sql)
    }
    return new Lane(options, servers)
  }

  private constructor(options: LaneOptions, { redis, sql }: Record<"redis" | "sql", Server | undefined>) {
    this.#options = options
    this.#servers = [redis, sql].filter((server) => server !== undefined)
    this.ports = { redis: portOf(redis), sql: portOf(sql) }
    redis?.on("connection", (socket: Socket) => this.#accept("redis", socket))
    sql?.on("connection", (socket: Socket) => this.#accept("sql", socket))
  }

  /** The open connections, in the order in which they were opened. */
  get connections(): ReadonlyArray<GatedConnection> {
    return this.#connections
  }

  /** The client's next step. With several connections, the one opened first goes first. */
  get held(): HeldStep | undefined {
    return this.#holding()?.held
  }

  /** Whether the next step is a SQL command. */
  get isHeldBySql(): boolean {
    return this.#holding()?.kind === "sql"
  }

  get inFlight(): boolean {
    return this.#connections.some(({ inFlight }) => inFlight)
  }

  /** Whether a SQL command is in flight. */
  get sqlInFlight(): boolean {
    return this.#connections.some(({ kind, inFlight }) => kind === "sql" && inFlight)
  }

  /** Whether a command awaits its reply, except blocking ones such as BLPOP. */
  get awaitsReply(): boolean {
    return this.#connections.some(({ awaitsReply }) => awaitsReply)
  }

  /** The SQL server's numbers of this client's connections. */
  get threadIds(): ReadonlyArray<number> {
    return this.#connections.flatMap(({ threadId }) => threadId ?? [])
  }

  release(): void {
    this.#holding()?.release()
  }

  /** Lets the next step take effect, and cuts the connection instead of passing its reply on. */
  releaseAndLoseReply(onCut: (threadIds: ReadonlyArray<number>) => void): void {
    const connection = this.#holding()
    connection?.releaseAndLoseReply(() => onCut([connection.threadId ?? []].flat()))
  }

  /** Cuts all connections. With `refuse`, new ones are refused. */
  cut(refuse: boolean): void {
    this.#refuses = refuse
    for (const connection of this.#connections) connection.close()
  }

  /** Sends everything that is held and accepts new connections again. */
  letGo(): void {
    this.#refuses = false
    for (const connection of this.#connections) connection.open()
  }

  async close(): Promise<void> {
    this.cut(true)
    await Promise.all(
      this.#servers.map(async (server) => {
        server.close()
        await once(server, "close")
      })
    )
  }

  #holding(): GatedConnection | undefined {
    return this.#connections.find(({ held }) => held !== undefined)
  }

  #accept(kind: "redis" | "sql", client: Socket): void {
    const {
      upstreams,
      signal,
      isHolding,
      relabel = (label) => label,
      onStep,
      onDelivery,
      onReply,
      onFailure
    } = this.#options
    const upstream = upstreams[kind]
    if (this.#refuses || upstream === undefined) {
      client.on("error", () => {})
      client.destroy()
      return
    }
    const connection = new GatedConnection({
      kind,
      client,
      server: connect(upstream),
      dialogue: kind === "redis" ? respDialogue() : mysqlDialogue(),
      steps: relabelled(kind === "redis" ? redisSteps() : sqlSteps(), relabel),
      isHolding,
      onFailure,
      onChange: () => {
        if (connection.closed) this.#connections = this.#connections.filter((open) => open !== connection)
        signal.notify()
      },
      onStep: (step) => onStep?.(step, connection),
      onDelivery: () => {
        onDelivery?.()
        signal.notify()
      },
      onReply: (command, reply) => onReply?.(command, reply, connection)
    })
    this.#connections.push(connection)
    signal.notify()
  }
}

const relabelled = (steps: StepFilter, relabel: (label: string) => string): StepFilter => ({
  ...steps,
  label: (command) => relabel(steps.label(command))
})

const listen = async (upstream: Address | undefined): Promise<Server | undefined> => {
  if (upstream === undefined) return undefined
  const server = createServer()
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

const portOf = (server: Server | undefined): number => {
  if (server === undefined) return 0
  // A TCP server that listens has an address of this form.
  return (server.address() as AddressInfo).port
}
