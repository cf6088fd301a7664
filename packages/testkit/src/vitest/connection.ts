import type { RedisService, SqlService } from "../services/index.ts"

/** What test workers get to know about a server that another process controls: it can be copied between processes. */
export interface SqlConnection {
  readonly flavour: SqlService["flavour"]
  readonly version: string
  readonly source: SqlService["source"]
  readonly identity: SqlService["identity"]
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

export interface RedisConnection {
  readonly flavour: RedisService["flavour"]
  readonly version: string
  readonly source: RedisService["source"]
  readonly identity: RedisService["identity"]
  readonly host: string
  readonly port: number
  /** The URL of database 0. */
  readonly url: string
}

export interface SharedServices {
  readonly sql: SqlConnection | undefined
  readonly redis: RedisConnection | undefined
  /** A worker that keeps data for its user to look at writes a line here. */
  readonly keptFile: string
}

export const sqlConnection = (service: SqlService): SqlConnection => {
  const { flavour, version, source, identity, host, port, user, password } = service
  return { flavour, version, source, identity, host, port, user, password }
}

export const redisConnection = (service: RedisService): RedisConnection => {
  const { flavour, version, source, identity, host, port } = service
  return { flavour, version, source, identity, host, port, url: service.url(0) }
}

/** The URL of one database of the server. */
export function redisUrl(connection: RedisConnection, index: number): string {
  const url = new URL(connection.url)
  url.pathname = `/${index}`
  return url.href
}

declare module "vitest" {
  interface ProvidedContext {
    "holdfast.testkit": SharedServices
  }
}
