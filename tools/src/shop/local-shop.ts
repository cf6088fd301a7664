import { startServices } from "@holdfast/testkit"
import { ensureDatabase } from "./database.ts"

/** The stores of the shop of `npm start`. */
export interface Stores {
  readonly mysqlUrl: string
  readonly redisUrl: string
  readonly stop: () => Promise<void>
}

const DATABASE = "holdfast"

/** Starts MySQL or MariaDB and Redis on the data of the directory, or uses those that the environment names. */
export const openStores = async (directory: string, note: (line: string) => void): Promise<Stores> => {
  const services = await startServices({ dataDirectory: directory, onProgress: note })
  try {
    const database = databaseOfUrl(process.env["HOLDFAST_MYSQL_URL"]) ?? DATABASE
    const isThere = await ensureDatabase(services.sql, database)
    note(`${isThere ? "found" : "made"} database ${database}`)
    return {
      mysqlUrl: services.sql.url(database),
      redisUrl: services.redis.url(),
      stop: () => services.stop()
    }
  } catch (error) {
    await services.stop()
    throw error
  }
}

/** The database that a URL names: `shop` of `mysql://host/shop`. */
const databaseOfUrl = (url: string | undefined): string | undefined => {
  if (url === undefined || !URL.canParse(url)) return undefined
  return decodeURIComponent(new URL(url).pathname.slice(1)) || undefined
}
