import { ensureAdmin, ListenFailed, startServer, type TestAccount } from "@holdfast/server"
import { createServer } from "node:net"
import { type Account, adminOf, passwordOf } from "../shop/accounts.ts"
import { dataDirectory, keptSecret } from "../shop/data-directory.ts"
import { openStores, type Stores } from "../shop/local-shop.ts"
import { announce, runningShop, withdraw } from "../shop/running.ts"
import { seedShop } from "../shop/seed.ts"
import { ONE_MACHINE_PLAYS_ALL, serverSettings } from "../shop/settings.ts"
import { onStopRequest } from "../shop/stop-requests.ts"

const startedAt = performance.now()
const note = (line: string) =>
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${line}`)

/** Serves the shop of the checkout until a request to stop. */
export const run = async (): Promise<number> => {
  const directory = dataDirectory("shop")
  const running = runningShop(directory)
  if (running !== undefined)
    throw new Error(`this shop is running already, as process ${running.pid} on ${running.url}`)
  const stopping = new Promise<void>(onStopRequest)
  const secret = keptSecret(directory)
  // Wrong settings and a taken port fail before the stores are started; their addresses are not known yet.
  const { host, port } = await settingsOf(secret, "mysql://127.0.0.1", "redis://127.0.0.1")
  await refuseTakenPort(host, port)
  const stores = await openStores(directory, note)
  try {
    await serve({ directory, secret, stores, stopping })
  } finally {
    await stores.stop()
  }
  note("stopped; the data stay in .holdfast/")
  return 0
}

const settingsOf = (secret: string, mysqlUrl: string, redisUrl: string) =>
  serverSettings(
    { ...ONE_MACHINE_PLAYS_ALL, HOLDFAST_SECRET: secret },
    { HOLDFAST_MYSQL_URL: mysqlUrl, HOLDFAST_REDIS_URL: redisUrl }
  )

interface ShopToServe {
  readonly directory: string
  readonly secret: string
  readonly stores: Stores
  readonly stopping: Promise<void>
}

const serve = async ({ directory, secret, stores, stopping }: ShopToServe): Promise<void> => {
  const { mysqlUrl, redisUrl } = stores
  const settings = await settingsOf(secret, mysqlUrl, redisUrl)
  note("migrating the database")
  const admin = adminOf(secret)
  const user = { email: "ann@shop.example", password: passwordOf(secret, "ann") }
  let testAccounts: ReadonlyArray<TestAccount> = []
  const server = await startServer(settings, { logLevel: "Warn", testAccounts: () => testAccounts })
  try {
    await server.runtime.runPromise(ensureAdmin(admin.email, admin.password))
    const adminToken = await seedShop(server.url, admin, user)
    if (adminToken !== undefined && process.env["NODE_ENV"] !== "production")
      testAccounts = [
        { role: "administrator", ...admin },
        { role: "user", ...user }
      ]
    announce(directory, { url: server.url, mysqlUrl, redisUrl })
    console.log(welcome(server.url, admin, user, adminToken))
    note(`serving on ${server.url}`)
    await stopping
    note("stopping: requests in flight finish first")
  } finally {
    withdraw(directory)
    await server.stop()
  }
}

const refuseTakenPort = (host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? reject(new ListenFailed({ host, port, reason: "in use" })) : resolve()
    )
    probe.listen({ host, port }, () => probe.close(() => resolve()))
  })

const welcome = (url: string, admin: Account, user: Account, adminToken: string | undefined): string => `
  Holdfast serves on ${url}

${adminToken === undefined ? otherAdministrator : accounts(admin, user, adminToken)}

  Try next, in another terminal:
    curl '${url}/trpc/products.page?input=%7B%7D'    the catalogue
    curl ${url}/readyz    the state of the stores
    npm run demo    a flash sale: 1,000 users, 100 coupons, 50 units
    npm run verify    an audit of the books
    npm run replay -- FILE.csv.gz    real invoices, in a shop of their own

  Ctrl-C stops it.
`

const accounts = (admin: Account, user: Account, adminToken: string): string =>
  `
  administrator  ${admin.email}  ${admin.password}
  user           ${user.email}    ${user.password}  (has points to spend)
  admin token    ${adminToken}`.slice(1)

const otherAdministrator =
  "  Its database already has an administrator with another password, so no accounts or products were added."
