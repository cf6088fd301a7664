/** All sources, in the default order in which they are tried. */
export const sources = ["url", "docker", "native", "packages"] as const

/** Where a service comes from: a URL, a container, an installed program or an unpacked package. */
export type Source = (typeof sources)[number]

/** The kind of a SQL server. */
export type SqlFlavour = "mysql" | "mariadb"

/** The kind of a Redis-compatible server. */
export type RedisFlavour = "redis" | "valkey"

/** How to reach a SQL server. */
export interface SqlAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/** One row of a result. The type is not the driver's, so that programs without the driver compile. */
export type SqlRow = Readonly<Record<string, unknown>>

/** The server's process or container; empty for a server that is only known by its URL. */
export interface ServiceIdentity {
  readonly pid?: number
  readonly containerId?: string
}

/**
 * Controls of a running server. A server of source `url` was not started here, so its `freeze`, `thaw`, `kill` and
 * `restart` reject with `ServiceNotControllable`.
 */
export interface ServiceControls {
  /** Suspends the server's processes (SIGSTOP): connections stay open, nothing is answered. */
  freeze(): Promise<void>
  /** Resumes a frozen server (SIGCONT). */
  thaw(): Promise<void>
  /** Ends the server with SIGKILL, as a crash would. Resolves once its process is gone. */
  kill(): Promise<void>
  /** Kills the server unless it is dead, and starts it again with the same port and data. */
  restart(): Promise<void>
  /** Ends the server and removes its files, except a `dataDirectory` that the caller named. Idempotent. */
  stop(): Promise<void>
  /**
   * Keeps the server running for `seconds` after this process ends, so that its data can be inspected; `stop` then does
   * nothing. Resolves with the pid of the process to kill to end the server earlier, or with undefined for a server of
   * source `url`.
   */
  outlive(seconds: number): Promise<number | undefined>
}

interface Service extends ServiceControls {
  readonly version: string
  readonly source: Source
  readonly host: string
  readonly port: number
  /** The pid changes with every restart; a container id does not. */
  readonly identity: ServiceIdentity
}

/** A running MySQL or MariaDB. */
export interface SqlService extends Service {
  readonly flavour: SqlFlavour
  readonly user: string
  readonly password: string
  /** `mysql://user:password@host:port/database`; without a database when none is given. */
  url(database?: string): string
  /** Creates an empty database with utf8mb4; rejects when the name exists. */
  createDatabase(name: string): Promise<void>
  /** Drops a database if it exists. */
  dropDatabase(name: string): Promise<void>
}

/** A running Redis or Valkey. */
export interface RedisService extends Service {
  readonly flavour: RedisFlavour
  /** `redis://host:port/index`, with the credentials of a service of source `url`. */
  url(database?: number): string
}
