import { createHash } from "node:crypto"
import { type Account, adminOf } from "../shop/accounts.ts"
import { dataDirectory, keptSecret } from "../shop/data-directory.ts"
import { runningShop } from "../shop/running.ts"

/** The server that the sale is held on. */
export interface Target {
  readonly url: string
  readonly admin: Account
  /** The passwords of the demo's users derive from it, so that a later demo can log them in again. */
  readonly secret: string
  /** The stores to audit; absent when they are not known. */
  readonly stores: { readonly mysqlUrl: string; readonly redisUrl: string | undefined } | undefined
}

const DEFAULT_URL = "http://127.0.0.1:3000"

/** The server of `HOLDFAST_URL`, else the one that `npm start` runs. */
export const findTarget = (environment: NodeJS.ProcessEnv): Target => {
  const { HOLDFAST_ADMIN_EMAIL: email, HOLDFAST_ADMIN_PASSWORD: password } = environment
  const { HOLDFAST_MYSQL_URL: mysqlUrl, HOLDFAST_REDIS_URL: redisUrl, HOLDFAST_URL: url } = environment
  const named = mysqlUrl === undefined ? undefined : { mysqlUrl, redisUrl }
  if (email !== undefined && password !== undefined) {
    const secret = createHash("sha256").update(password).digest("hex")
    return { url: url ?? DEFAULT_URL, admin: { email, password }, secret, stores: named }
  }
  const directory = dataDirectory("shop")
  const running = runningShop(directory)
  if (url !== undefined && url !== running?.url)
    throw new Error(
      `the demo needs the administrator of ${url}: set HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD`
    )
  if (running === undefined) throw new Error("no shop is running; npm start runs one, in another terminal")
  const secret = keptSecret(directory)
  return { url: running.url, admin: adminOf(secret), secret, stores: named ?? running }
}
