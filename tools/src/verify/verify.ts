import { verifyText } from "@holdfast/server"
import { audit } from "../shop/audit.ts"
import { withShopDatabase } from "../shop/shop-database.ts"

interface VerifyOptions {
  /** The database to audit, as a URL; absent: that of `HOLDFAST_MYSQL_URL`, else that of `npm start`. */
  readonly database: string | undefined
  readonly json: boolean
}

/** Audits a database and prints the report. The exit code is 1 when a check fails. */
export const run = async ({ database, json }: VerifyOptions): Promise<number> => {
  const report = await withShopDatabase(database, audit)
  console.log(json ? JSON.stringify(report) : verifyText(report))
  return report.ok ? 0 : 1
}
