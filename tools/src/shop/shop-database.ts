import { dataDirectory } from "./data-directory.ts"
import { openStores } from "./local-shop.ts"
import { runningShop } from "./running.ts"

/** Uses the named database, else that of `HOLDFAST_MYSQL_URL`, else the stores of `npm start`, which are started when they are not running. */
export const withShopDatabase = async <A>(
  named: string | undefined,
  use: (mysqlUrl: string, redisUrl?: string) => Promise<A>
): Promise<A> => {
  const url = named ?? process.env["HOLDFAST_MYSQL_URL"]
  if (url !== undefined && url !== "") return use(url, process.env["HOLDFAST_REDIS_URL"])
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
