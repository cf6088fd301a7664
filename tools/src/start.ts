// npm start: a whole shop for development. Finds or fetches the stores, migrates, seeds, serves until Ctrl-C.
import { ListenFailed, startServer } from "@holdfast/server"
import { createServer } from "node:net"
import { ensureAdmin } from "../../packages/server/src/modules/auth/service.ts"
import { type Account, adminOf, passwordOf } from "./shop/accounts.ts"
import { dataDirectory, keptSecret } from "./shop/data-directory.ts"
import { openStores } from "./shop/local-shop.ts"
import { announce, runningShop, withdraw } from "./shop/running.ts"
import { seedShop } from "./shop/seed.ts"
import { serverSettings } from "./shop/settings.ts"
import { onStopRequest } from "./shop/stop-requests.ts"

const directory = dataDirectory("shop")
const startedAt = performance.now()
const note = (line: string) =>
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${line}`)

/** Finds out before anything is started whether the port is free. */
const refuseTakenPort = (host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? reject(new ListenFailed({ host, port, reason: "in use" })) : resolve()
    )
    probe.listen({ host, port }, () => probe.close(() => resolve()))
  })

const main = async (): Promise<void> => {
  const running = runningShop(directory)
  if (running !== undefined)
    throw new Error(`this shop is running already, as process ${running.pid} on ${running.url}`)
  const secret = keptSecret(directory)
  const stopping = new Promise<void>(onStopRequest)
  // The addresses are not known yet; the others are checked before anything is started.
  const settingsWith = (mysqlUrl: string, redisUrl: string) =>
    serverSettings(
      { HOLDFAST_SECRET: secret },
      { HOLDFAST_MYSQL_URL: mysqlUrl, HOLDFAST_REDIS_URL: redisUrl }
    )
  const early = await settingsWith("mysql://127.0.0.1", "redis://127.0.0.1")
  await refuseTakenPort(early.host, early.port)
  const stores = await openStores(directory, note)
  try {
    const settings = await settingsWith(stores.mysqlUrl, stores.redisUrl)
    note("migrating the database")
    const server = await startServer(settings, { logLevel: "Warn" })
    try {
      const admin = adminOf(secret)
      const user = { email: "ann@shop.example", password: passwordOf(secret, "ann") }
      await server.runtime.runPromise(ensureAdmin(admin.email, admin.password))
      const seeded = await seedShop(server.url, admin, user)
      announce(directory, { url: server.url, mysqlUrl: stores.mysqlUrl, redisUrl: stores.redisUrl })
      console.log(welcome(server.url, admin, user, seeded))
      note(`serving on ${server.url}`)
      await stopping
      note("stopping: requests in flight finish first")
    } finally {
      withdraw(directory)
      await server.stop()
    }
  } finally {
    await stores.stop()
  }
  note("stopped; the data stay in .holdfast/")
}

const welcome = (url: string, admin: Account, user: Account, adminToken: string | undefined): string => `
  Holdfast serves on ${url}

${adminToken === undefined ? foreignAdministrator : accounts(admin, user, adminToken)}

  Try next, in another terminal:
    curl '${url}/trpc/products.page?input=%7B%7D'    the catalogue
    curl ${url}/readyz    whether the stores answer
    npm run demo    a flash sale: 1,000 users, 100 coupons, 50 units
    npm run verify    the proof that the books are right
    npm run replay -- FILE.csv.gz    real invoices, in a shop of their own

  Ctrl-C stops it.
`

const accounts = (admin: Account, user: Account, adminToken: string): string =>
  `
  administrator  ${admin.email}  ${admin.password}
  user           ${user.email}    ${user.password}  (has points to spend)
  admin token    ${adminToken}`.slice(1)

const foreignAdministrator =
  "  Its database has an administrator with another password, so nothing was added to it."

try {
  await main()
} catch (error) {
  console.error(`holdfast: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
