import type { RedisService, SqlService } from "../services/index.ts"

/** A SQL server as test workers see it. Plain data, because another process controls the server. */
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

/** A Redis server as test workers see it. */
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

/** What `serviceSetup` provides to the test workers. */
export interface SharedServices {
  readonly sql: SqlConnection | undefined
  readonly redis: RedisConnection | undefined
  /** A file to which workers append a line for each kept database. */
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

declare module "vitest" {
  interface ProvidedContext {
    "holdfast.testkit": SharedServices
  }
}
