import { verifyText } from "@holdfast/server"
import { audit } from "../shop/audit.ts"
import { dataDirectory } from "../shop/data-directory.ts"
import { openStores } from "../shop/local-shop.ts"
import { runningShop } from "../shop/running.ts"

interface VerifyOptions {
  /** The database to audit, as a URL; absent: that of `HOLDFAST_MYSQL_URL`, else that of `npm start`. */
  readonly database: string | undefined
  readonly json: boolean
}

/** Audits a database and prints the report. The exit code is 1 when a check fails. */
export const run = async ({ database, json }: VerifyOptions): Promise<number> => {
  const report = await withDatabase(database ?? process.env["HOLDFAST_MYSQL_URL"], audit)
  console.log(json ? JSON.stringify(report) : verifyText(report))
  return report.ok ? 0 : 1
}

/** Uses the named database, else the stores of `npm start`, which are started when they are not running. */
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
