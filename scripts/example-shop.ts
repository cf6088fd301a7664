import { type Client, createClient } from "@holdfast/client-sdk"
import { ensureAdmin, type RunningServer, settingsFromEnvironment, startServer } from "@holdfast/server"
import { databaseFactory, startServices } from "@holdfast/testkit"
import { ConfigProvider, Effect } from "effect"

/** A shop on stores of its own, which programs of users buy from. */
export interface ExampleShop {
  readonly server: RunningServer
  readonly administrator: Client
  /** The settings of the shop, for servers and audits on the same stores. */
  readonly environment: Readonly<Record<string, string>>
}

const admin = { email: "admin@example.com", password: "the admin's password" }

/**
 * Starts a shop that sells 100 units each of TEA, POT and CUP at 450.
 * @param opened gets what has to be closed, in reverse order, also after a start that fails half-way
 */
export const startExampleShop = async (opened: Array<() => Promise<void> | void>): Promise<ExampleShop> => {
  const services = await startServices()
  opened.push(() => services.stop())
  const database = await (await databaseFactory(services.sql)).create()
  opened.push(() => database.drop())
  const environment = {
    HOLDFAST_MYSQL_URL: services.sql.url(database.name),
    HOLDFAST_REDIS_URL: services.redis.url(),
    HOLDFAST_SECRET: "a secret of the examples' test, long enough",
    HOLDFAST_ARGON2_MEMORY_KIB: "8",
    HOLDFAST_ARGON2_ITERATIONS: "1",
    PORT: "0"
  }
  const settings = settingsFromEnvironment.parse(ConfigProvider.fromUnknown(environment))
  const server = await startServer(await Effect.runPromise(settings), { logLevel: "None" })
  opened.push(() => server.stop())
  await server.runtime.runPromise(ensureAdmin(admin.email, admin.password))
  const administrator = createClient({ url: server.url, auth: admin })
  for (const sku of ["TEA", "POT", "CUP"])
    await administrator.admin.createProduct({
      sku,
      name: `A ${sku.toLowerCase()}`,
      priceMinor: 450,
      initialStock: 100
    })
  return { server, administrator, environment }
}
