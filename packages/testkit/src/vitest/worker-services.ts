import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inject } from "vitest"
import {
  startServices,
  type RedisOptions,
  type ServiceControls,
  type Source,
  type SqlOptions
} from "../services/index.ts"
import {
  redisConnection,
  sqlConnection,
  type RedisConnection,
  type SharedServices,
  type SqlConnection
} from "./connection.ts"
import { stopOrKeep } from "./keep.ts"

/** How much of a server a test file has to itself: a database, or the whole server. */
export type Isolation = "database" | "server"

/** A server that a worker uses, and how to give it back. */
export interface Lent<Connection> {
  /** The server's current state; its pid changes with a restart. */
  readonly connection: Connection
  /** The server's controls, when the worker has it to itself. */
  readonly controls: ServiceControls | undefined
  readonly keptFile: string
  readonly giveBack: () => Promise<void>
}

/** The run's SQL server if it matches, else one for this worker alone. */
export async function lendSql(
  wanted: SqlOptions,
  source: ReadonlyArray<Source> | undefined,
  isolation: Isolation
): Promise<Lent<SqlConnection>> {
  const shared = sharedServices()
  if (isolation === "database" && shared?.sql !== undefined && fits(shared.sql, wanted.kind, source))
    return lent(shared.sql, shared)
  const services = await startServices({ ...own(source), sql: wanted, redis: false })
  return owned(() => sqlConnection(services.sql), services.sql, services)
}

/** The run's Redis server if it matches, else one for this worker alone. */
export async function lendRedis(
  wanted: RedisOptions,
  source: ReadonlyArray<Source> | undefined,
  isolation: Isolation
): Promise<Lent<RedisConnection>> {
  const shared = sharedServices()
  if (isolation === "database" && shared?.redis !== undefined && fits(shared.redis, wanted.kind, source))
    return lent(shared.redis, shared)
  const services = await startServices({ ...own(source), redis: wanted, sql: false })
  return owned(() => redisConnection(services.redis), services.redis, services)
}

/** Undefined when vitest runs without `serviceSetup`. */
const sharedServices = (): SharedServices | undefined => inject("holdfast.testkit")

const fits = (
  connection: { readonly flavour: string; readonly source: Source },
  kind: string | undefined,
  source: ReadonlyArray<Source> | undefined
) =>
  (kind === undefined || kind === "any" || kind === connection.flavour) &&
  (source === undefined || source.includes(connection.source))

const own = (source: ReadonlyArray<Source> | undefined) => ({
  ...(source === undefined ? {} : { source }),
  onProgress: (line: string) => console.error(`testkit: ${line}`)
})

const lent = <C>(connection: C, { keptFile }: SharedServices): Lent<C> => ({
  connection,
  controls: undefined,
  keptFile,
  giveBack: () => Promise.resolve()
})

function owned<C extends { readonly source: Source }>(
  connection: () => C,
  controls: ServiceControls,
  services: Parameters<typeof stopOrKeep>[0]
): Lent<C> {
  const directory = mkdtempSync(join(tmpdir(), "testkit-worker-"))
  const keptFile = join(directory, "kept")
  return {
    get connection() {
      return connection()
    },
    // A server of source `url` was not started here, so it is shared.
    controls: connection().source === "url" ? undefined : controls,
    keptFile,
    giveBack: async () => {
      await stopOrKeep(services, keptFile, (line) => console.error(line))
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
