import type { MysqlPoolConnection, MysqlQueryResult } from "kysely"
import type { PoolConnection, RowDataPacket } from "mysql2"
import type { Socket } from "node:net"
import { connectionLeadsNowhere, NoAnswer } from "./sql-errors.ts"

type Callback = (error: unknown, result: unknown) => void

/** A statement that waits for its answer. */
interface Pending {
  readonly sinceMs: number
  readonly settle: Callback
}

/** What tells a session from another one with the same id, after a restart or behind one address. */
export interface SessionIdentity {
  /** The address of this end as the server sees it. */
  readonly peer: string
  readonly server: string
}

/** The SQL of {@link SessionIdentity.server}. */
export const SERVER = "CONCAT(@@hostname, ':', @@port)"

/** What the pool does when a session ends or becomes free. */
export interface SessionListener {
  readonly onIdle: (session: Session) => void
  /** The session was destroyed here; the server may not know it. */
  readonly onDestroy: (session: Session) => void
  readonly onClose: (session: Session) => void
}

/**
 * One connection of the pool. It knows which statements wait for an answer, so that it can be destroyed in flight: their
 * callers then fail at once. It never goes back to the pool when a transaction may still be open on it.
 */
export class Session {
  /** What Kysely sees. Kysely knows a connection by its reference, so there is one for each session. */
  readonly kysely: MysqlPoolConnection
  /** `undefined`: the server cannot be asked about this session. */
  identity: SessionIdentity | undefined
  readonly #connection: PoolConnection
  readonly #listener: SessionListener
  readonly #pending = new Set<Pending>()
  #heardAtMs = performance.now()
  #isDoubtful = false
  #end: Error | undefined

  constructor(connection: PoolConnection, listener: SessionListener) {
    this.#connection = connection
    this.#listener = listener
    // The driver emits the errors of idle connections, which would end the process without a listener.
    connection.on("error", () => {})
    this.#socket.once("close", () => {
      this.#end ??= new NoAnswer(0)
      listener.onClose(this)
    })
    this.kysely = this.#forKysely()
  }

  get id(): number {
    return this.#connection.threadId ?? 0
  }

  /** The statement that has waited longest. */
  get oldest(): Pending | undefined {
    const [oldest] = this.#pending
    return oldest
  }

  /** How long the oldest statement has waited for its answer. */
  get waitsMs(): number {
    return this.oldest === undefined ? 0 : performance.now() - this.oldest.sinceMs
  }

  /** How long nothing was heard from the server. */
  get quietMs(): number {
    return performance.now() - this.#heardAtMs
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  query(sql: string): Promise<ReadonlyArray<RowDataPacket>> {
    return this.#promise((settle) => this.#connection.query(sql, settle))
  }

  ping(): Promise<unknown> {
    return this.#promise((settle) => this.#connection.ping((error) => settle(error, undefined)))
  }

  /** Closes the socket without waiting for the server, and fails the statements in flight. */
  destroy(): void {
    if (this.#end !== undefined) return
    this.#end = new NoAnswer(Math.round(this.waitsMs))
    this.#listener.onDestroy(this)
    this.#connection.destroy()
    // The driver only sends a FIN, which a silent peer never answers.
    this.#socket.destroy()
    for (const { settle } of this.#pending) settle(this.#end, undefined)
  }

  /** A busy connection, or one in doubt, does not go back to the pool. */
  release(): void {
    if (this.#isDoubtful || this.#pending.size > 0) this.destroy()
    if (this.isOver) return
    this.#listener.onIdle(this)
    this.#connection.release()
  }

  get #socket(): Socket {
    return (this.#connection as unknown as { readonly stream: Socket }).stream
  }

  #promise<A>(send: (settle: Callback) => void): Promise<A> {
    return new Promise((resolve, reject) =>
      this.#ask(send, (error, result) => (error ? reject(error) : resolve(result as A)))
    )
  }

  #ask(send: (settle: Callback) => void, callback: Callback): void {
    if (this.#end !== undefined) return callback(this.#end, undefined)
    const settle: Callback = (error, result) => {
      if (!this.#pending.delete(pending)) return
      this.#heardAtMs = performance.now()
      callback(error, result)
    }
    const pending: Pending = { sinceMs: performance.now(), settle }
    this.#pending.add(pending)
    try {
      send(settle)
    } catch (error) {
      settle(error, undefined)
    }
  }

  #forKysely(): MysqlPoolConnection {
    const connection: MysqlPoolConnection = this.#connection
    return {
      get config() {
        return connection.config
      },
      get threadId() {
        return connection.threadId
      },
      connect: (callback) => connection.connect(callback),
      destroy: () => this.destroy(),
      query: (sql, parameters, callback) => {
        const heard: Callback = (error, result) => {
          if (error && (endsTransaction(sql) || connectionLeadsNowhere(error))) this.#isDoubtful = true
          callback?.(error, result as MysqlQueryResult)
        }
        this.#ask((settle) => connection.query(sql, parameters, settle), heard)
        // Only Kysely's streaming, which nothing uses, reads the result.
        return undefined as never
      },
      release: () => this.release()
    }
  }
}

/** After a failed COMMIT or ROLLBACK a transaction may still be open, and the next BEGIN would silently commit it. */
const endsTransaction = (sql: string): boolean => sql === "commit" || sql === "rollback"
