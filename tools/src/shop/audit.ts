import type { VerifyReport } from "@holdfast/server"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The audit could not be made, for instance because the database cannot be reached. */
class AuditFailed extends Error {
  override readonly name = "AuditFailed"
}

const command = fileURLToPath(import.meta.resolve("@holdfast/server/cli"))
const MAXIMUM_OUTPUT_BYTES = 64 * 1024 * 1024

/**
 * Audits a database, and its Redis when it is given, with the server's own command. It runs in a process of its own,
 * whose connections to stores that died cannot keep this one from ending.
 */
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
      // Nothing listens on this port, so the command audits the database alone.
      HOLDFAST_REDIS_URL: redisUrl ?? "redis://127.0.0.1:1",
      HOLDFAST_SECRET: "not used by the audit of a database"
    }
    execFile(process.execPath, args, { env, maxBuffer: MAXIMUM_OUTPUT_BYTES }, (error, stdout, stderr) => {
      // The exit code 1 means that a check failed; stdout has the report.
      if (error !== null && error.code !== 1) return reject(new AuditFailed(stderr.trim() || error.message))
      resolve(JSON.parse(stdout) as VerifyReport)
    })
  })
