import { startServer } from "@holdfast/server"
import type { Services } from "@holdfast/testkit"
import { fileURLToPath } from "node:url"
import { startServerProcess } from "../../src/shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL, serverSettings, UNPAID_AT_WILL } from "../../src/shop/settings.ts"
import { processesOfContainer } from "../processes.ts"
import { FLOOR_PARTS, type FloorPart } from "./floor/parts.ts"
import { startPeer } from "./peer.ts"
import { newPeople, type Person, SECRET } from "./people.ts"
import { seedHoldfast, seedNaive } from "./seed.ts"

export type ShopName = "holdfast" | "floor" | "naive"

/** Who works for a request. */
export const parts = ["server", "sql", "redis"] as const
export type Part = (typeof parts)[number]

/** One contestant: a server process on a database and a Redis database of its own. */
export interface Shop {
  readonly name: ShopName
  readonly url: string
  readonly mysqlUrl: string
  readonly redisUrl: string
  readonly people: ReadonlyArray<Person>
  readonly admin: Person
  /** The processes whose work counts. */
  readonly pids: () => Readonly<Record<Part, ReadonlyArray<number>>>
  readonly serverPid: () => number | undefined
  /** Orders that nobody has paid, with their buyers. */
  readonly unpaid: Array<{ readonly orderId: string; readonly buyer: Person }>
  readonly stop: () => Promise<void>
}

/** The others never refuse for load, and a benchmark on a busy machine is late for reasons of its own. */
const SETTINGS = {
  HOLDFAST_MAX_EVENT_LOOP_DELAY: "5 seconds",
  ...ONE_MACHINE_PLAYS_ALL,
  ...UNPAID_AT_WILL,
  HOLDFAST_SECRET: SECRET,
  HOLDFAST_ARGON2_MEMORY_KIB: "8",
  HOLDFAST_ARGON2_ITERATIONS: "1",
  HOLDFAST_ORDER_EXPIRES_AFTER: "1 day"
}

const settingsOf = (mysqlUrl: string, redisUrl: string) => ({
  ...SETTINGS,
  HOLDFAST_MYSQL_URL: mysqlUrl,
  HOLDFAST_REDIS_URL: redisUrl
})

/**
 * A Holdfast server on the stores of a shop, in a process of its own.
 * @param preload the URL of a module that the process loads first, and the variables that it reads
 */
export const startHoldfast = (
  { mysqlUrl, redisUrl }: Pick<Shop, "mysqlUrl" | "redisUrl">,
  preload?: { readonly url: string; readonly environment: Readonly<Record<string, string>> }
) =>
  startServerProcess({
    environment: { ...settingsOf(mysqlUrl, redisUrl), ...preload?.environment },
    maximumRestarts: 0,
    ...(preload && { preload: preload.url })
  })

/** Creates Holdfast's tables by starting a server once. */
const migrate = async (mysqlUrl: string, redisUrl: string): Promise<void> => {
  const decided = { ...settingsOf(mysqlUrl, redisUrl), HOST: "127.0.0.1", PORT: "0" }
  const settings = await serverSettings({}, decided)
  const server = await startServer({ ...settings, workers: false }, { logLevel: "None" })
  await server.stop()
}

const REDIS_DATABASE: Readonly<Record<ShopName, number>> = { holdfast: 1, floor: 2, naive: 3 }

const program = (name: "floor" | "naive") =>
  fileURLToPath(
    name === "floor"
      ? new URL("./floor/main.ts", import.meta.url)
      : new URL("./naive/main.ts", import.meta.url)
  )

/** Another floor on the stores of a shop, whose orders have these parts. */
export const startFloor = (stores: Pick<Shop, "mysqlUrl" | "redisUrl">, has: ReadonlyArray<FloorPart>) =>
  startPeer(program("floor"), stores, { [FLOOR_PARTS]: has.join(",") })

/** Opens the contestants' shops, each seeded with the same products and people. */
export const openShops = async (
  services: Services,
  names: ReadonlyArray<ShopName>,
  customers: number
): Promise<ReadonlyArray<Shop>> => {
  const people = newPeople(customers, "user")
  const [admin] = newPeople(1, "admin")
  const shops: Array<Shop> = []
  for (const name of names) shops.push(await openShop(services, name, people, admin!))
  return shops
}

const openShop = async (
  services: Services,
  name: ShopName,
  people: ReadonlyArray<Person>,
  admin: Person
): Promise<Shop> => {
  const database = `bench_${name}_${process.pid}`
  await services.sql.createDatabase(database)
  const stores = {
    mysqlUrl: services.sql.url(database),
    redisUrl: services.redis.url(REDIS_DATABASE[name])
  }
  if (name === "naive") await seedNaive(stores.mysqlUrl, people)
  else {
    await migrate(stores.mysqlUrl, stores.redisUrl)
    await seedHoldfast(stores.mysqlUrl, people, admin)
  }
  const server = await startShop(name, stores)
  const sql = processesOf(services.sql)
  const redis = processesOf(services.redis)
  return {
    name,
    url: server.url,
    ...stores,
    people,
    admin,
    serverPid: server.pid,
    pids: () => ({ server: [server.pid() ?? Number.NaN], sql, redis }),
    unpaid: [],
    stop: async () => {
      await server.stop()
      await services.sql.dropDatabase(database)
    }
  }
}

const startShop = async (name: ShopName, stores: Pick<Shop, "mysqlUrl" | "redisUrl">) => {
  if (name === "holdfast") return startHoldfast(stores)
  const { pid, ...peer } = await startPeer(program(name), stores)
  return { ...peer, pid: () => pid }
}

/** The processes of a store. A store that was not started here has none that can be measured. */
export const processesOf = ({ identity }: Services["sql"] | Services["redis"]): ReadonlyArray<number> => {
  if (identity.pid !== undefined) return [identity.pid]
  const found = identity.containerId === undefined ? [] : processesOfContainer(identity.containerId)
  return found.length === 0 ? [Number.NaN] : found
}
