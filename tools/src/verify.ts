// npm run verify: audits a Holdfast database. Ends with 1 when anything is off, with 2 when it could not look.
import { verifyText } from "@holdfast/server"
import { parseArgs } from "node:util"
import { audit } from "./shop/audit.ts"
import { dataDirectory } from "./shop/data-directory.ts"
import { openStores } from "./shop/local-shop.ts"
import { runningShop } from "./shop/running.ts"

const USAGE = `npm run verify -- [--json] [--database mysql://user:password@host:port/database]

Audits the named database, else that of HOLDFAST_MYSQL_URL, else the one that npm start keeps in .holdfast/.`

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      database: { type: "string" },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  const report = await withDatabase(values.database ?? process.env["HOLDFAST_MYSQL_URL"], audit)
  console.log(values.json ? JSON.stringify(report) : verifyText(report))
  return report.ok ? 0 : 1
}

/** The database that is meant. Stores that are not running are started for as long as it takes. */
const withDatabase = async <A>(
  named: string | undefined,
  use: (mysqlUrl: string, redisUrl?: string) => Promise<A>
): Promise<A> => {
  if (named !== undefined && named !== "") return use(named, process.env["HOLDFAST_REDIS_URL"])
  const directory = dataDirectory("shop")
  const running = runningShop(directory)
  if (running !== undefined) return use(running.mysqlUrl, running.redisUrl)
  const stores = await openStores(directory, (line) => console.error(line))
  try {
    return await use(stores.mysqlUrl, stores.redisUrl)
  } finally {
    await stores.stop()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`verify: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
