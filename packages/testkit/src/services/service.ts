/** Where a service comes from. They are tried in this order unless the caller gives another. */
export const sources = ["url", "docker", "native", "packages"] as const
export type Source = (typeof sources)[number]

export type SqlFlavour = "mysql" | "mariadb"
export type RedisFlavour = "redis" | "valkey"

/** What the operating system or the engine calls the server; empty for a server that is only known by its URL. */
export interface ServiceIdentity {
  readonly pid?: number
  readonly containerId?: string
}

/**
 * What can be done to a running server. A server of source `url` belongs to somebody else:
 * `freeze`, `thaw`, `kill` and `restart` reject with `ServiceNotControllable` there.
 */
export interface ServiceControls {
  /** Stops the server's processes without ending them: connections stay open, nothing is answered. */
  freeze(): Promise<void>
  /** Lets a frozen server go on. */
  thaw(): Promise<void>
  /** Ends the server with SIGKILL, as a crash would. Resolves when its process is gone. */
  kill(): Promise<void>
  /** Starts a server that was killed (or kills it first) on the same port and the same data. */
  restart(): Promise<void>
  /** Ends the server and removes what it left, except for a data directory that the caller named. Idempotent. */
  stop(): Promise<void>
  /**
   * Lets the server go on for a while after this process has ended, so that somebody can look into its data; from now
   * on `stop` does nothing. Resolves with the pid of the process to end when it is no longer needed; nothing for a
   * server of source `url`.
   */
  outlive(seconds: number): Promise<number | undefined>
}

interface Service extends ServiceControls {
  readonly version: string
  readonly source: Source
  readonly host: string
  readonly port: number
  /** The pid changes with every restart; a container stays the same one. */
  readonly identity: ServiceIdentity
}

/** A running MySQL or MariaDB. */
export interface SqlService extends Service {
  readonly flavour: SqlFlavour
  readonly user: string
  readonly password: string
  /** `mysql://user:password@host:port/database`. */
  url(database?: string): string
  /** Creates an empty database with utf8mb4; rejects when there is one of that name. */
  createDatabase(name: string): Promise<void>
  /** Drops a database if there is one of that name. */
  dropDatabase(name: string): Promise<void>
}

/** A running Redis or Valkey. */
export interface RedisService extends Service {
  readonly flavour: RedisFlavour
  /** `redis://host:port/index`, with the credentials of a `url` service. */
  url(database?: number): string
}
