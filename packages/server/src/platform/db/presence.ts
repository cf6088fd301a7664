import { mysqlOptionsOf } from "@holdfast/locks"
import { Redacted } from "effect"
import { createConnection } from "mysql2/promise"
import { setTimeout } from "node:timers/promises"
import type { PlatformSettings } from "../config.ts"

const TRY_EVERY_MS = 500
const SAY_EVERY_MS = 5_000
const CONNECT_WITHIN_MS = 2_000

/**
 * Waits for a database that is not there yet, such as one that starts beside the server, for `startWaitMs` at most or
 * until the signal, and says so. Whatever the last attempt has failed with is left to the first statement.
 */
export const untilDatabaseAnswers = async (
  { mysqlUrl, startWaitMs }: Pick<PlatformSettings, "mysqlUrl" | "startWaitMs">,
  stop?: AbortSignal,
  say: (line: object) => void = (line) => console.log(JSON.stringify(line))
): Promise<void> => {
  const options = { ...mysqlOptionsOf(Redacted.value(mysqlUrl)), connectTimeout: CONNECT_WITHIN_MS }
  const startedAtMs = performance.now()
  let saidAtMs = -SAY_EVERY_MS
  for (;;) {
    if (stop?.aborted) return
    try {
      const connection = await createConnection(options)
      connection.destroy()
      return
    } catch (error) {
      const waitedMs = Math.round(performance.now() - startedAtMs)
      if (waitedMs >= startWaitMs) return
      if (waitedMs - saidAtMs >= SAY_EVERY_MS) {
        saidAtMs = waitedMs
        const { code } = error as { readonly code?: string }
        const time = new Date().toISOString()
        say({
          time,
          level: "Warn",
          message: "waiting for the database",
          code,
          waitedMs,
          atMostMs: startWaitMs
        })
      }
      const pauseMs = Math.min(TRY_EVERY_MS, Math.max(0, startWaitMs - waitedMs))
      await setTimeout(pauseMs, undefined, { signal: stop }).catch(() => {})
    }
  }
}
