import { mysqlOptionsOf } from "@holdfast/locks"
import { Context, Effect, Layer, Redacted } from "effect"
import { type Connection, createConnection, type RowDataPacket } from "mysql2"
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import { PlatformConfig } from "../config.ts"

/** What the database can do for a server: everything, or why not. */
export type DatabaseState = "up" | "down" | "read-only" | "disk full" | "not in its cluster"

/** How long the database may take to answer before it counts as down. */
const WITHIN_MS = 900

/** Why the server refuses a write, by its error numbers. */
const STATES: ReadonlyMap<unknown, DatabaseState> = new Map<number, DatabaseState>([
  [1290, "read-only"], // it runs with --read-only or --super-read-only
  [1792, "read-only"], // a read-only transaction
  [1836, "read-only"], // read-only mode
  [1047, "not in its cluster"], // Galera has not prepared the node
  [3100, "not in its cluster"], // group replication refuses the transaction
  [1021, "disk full"],
  [1114, "disk full"], // the table is full
  [20, "disk full"],
  [3, "disk full"]
])

/**
 * Asks the database whether it can be read and written, on a connection that nothing else uses: a busy pool says nothing
 * about the database.
 */
export class DatabaseReadiness extends Context.Service<
  DatabaseReadiness,
  {
    /** Reads and writes a row, within a second. The write leaves nothing behind. */
    readonly state: Effect.Effect<DatabaseState>
  }
>()("@holdfast/server/DatabaseReadiness") {
  static readonly layer: Layer.Layer<DatabaseReadiness, never, PlatformConfig> = Layer.effect(
    DatabaseReadiness,
    Effect.gen(function* () {
      const { mysqlUrl } = yield* PlatformConfig
      const probe = new Probe(() => createConnection(mysqlOptionsOf(Redacted.value(mysqlUrl))))
      yield* Effect.addFinalizer(() => Effect.sync(() => probe.close()))
      return { state: Effect.promise(() => probe.state()) }
    })
  )
}

class Probe {
  #connection: Connection | undefined
  readonly #connect: () => Connection
  constructor(connect: () => Connection) {
    this.#connect = connect
  }

  async state(): Promise<DatabaseState> {
    const timer = setTimeout(() => this.close(), WITHIN_MS)
    // A connection that was kept may have ended meanwhile.
    const wasKept = this.#connection !== undefined
    const startedAtMs = performance.now()
    try {
      const state = await this.#ask()
      const mayAgain = state === "down" && wasKept && performance.now() - startedAtMs < WITHIN_MS / 2
      return mayAgain ? await this.#ask() : state
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    const connection = this.#connection as (Connection & { readonly stream: Socket }) | undefined
    this.#connection = undefined
    // Destroying the socket fails what waits on it, the handshake too.
    connection?.stream.destroy(new Error("no answer"))
  }

  async #ask(): Promise<DatabaseState> {
    const connection = (this.#connection ??= this.#open())
    const query = (sql: string, parameters: ReadonlyArray<unknown> = []) =>
      new Promise<ReadonlyArray<RowDataPacket>>((resolve, reject) =>
        connection.query<Array<RowDataPacket>>(sql, [...parameters], (error, rows) =>
          error ? reject(error) : resolve(rows)
        )
      )
    try {
      const [row] = await query(
        "SELECT @@global.read_only AS isReadOnly, (SELECT count(*) FROM installation) AS n"
      )
      // An account with the privilege could write, to a replica whose rows come from elsewhere.
      if (!["0", "OFF"].includes(String(row?.["isReadOnly"]))) return "read-only"
      const item = randomBytes(16)
      await query("BEGIN")
      await query("INSERT INTO set_aside (job, item, reason) VALUES ('readiness', ?, '')", [item])
      await query("DELETE FROM set_aside WHERE job = 'readiness' AND item = ?", [item])
      await query("COMMIT")
      return "up"
    } catch (error) {
      this.close()
      return STATES.get((error as { readonly errno?: number }).errno) ?? "down"
    }
  }

  #open(): Connection {
    const connection = this.#connect()
    // The driver emits the errors of an idle connection, which would end the process without a listener.
    connection.on("error", () => {
      if (this.#connection === connection) this.#connection = undefined
    })
    return connection
  }
}
