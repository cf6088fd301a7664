import type { VerifyReport } from "@holdfast/server"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The audit could not be made: the database is out of reach, for instance. */
export class AuditFailed extends Error {
  override readonly name = "AuditFailed"
}

const command = fileURLToPath(new URL("../../../packages/server/src/cli.ts", import.meta.url))
const MAXIMUM_OUTPUT_BYTES = 64 * 1024 * 1024

/** Audits a database, and its Redis when it is named, with the server's own command, in a process of its own. */
export const audit = (mysqlUrl: string, redisUrl?: string): Promise<VerifyReport> =>
  new Promise((resolve, reject) => {
    const args = [
      "--conditions=holdfast-source",
      "--disable-warning=ExperimentalWarning",
      command,
      "verify",
      "--json"
    ]
    const env = {
      ...process.env,
      HOLDFAST_MYSQL_URL: mysqlUrl,
      // Without an address nothing listens there: then the database is audited alone.
      HOLDFAST_REDIS_URL: redisUrl ?? "redis://127.0.0.1:1",
      // Asked for, but not used.
      HOLDFAST_SECRET: "not used by the audit of a database"
    }
    execFile(process.execPath, args, { env, maxBuffer: MAXIMUM_OUTPUT_BYTES }, (error, stdout, stderr) => {
      // 1 is the answer "the books are wrong", and then stdout says how.
      if (error !== null && error.code !== 1) return reject(new AuditFailed(stderr.trim() || error.message))
      resolve(JSON.parse(stdout) as VerifyReport)
    })
  })
