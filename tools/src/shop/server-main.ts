// A Holdfast server as a process of its own, for commands that need one beside them. Its settings are environment
// variables, its one argument the port (0: any that is free).
// It ends with the process that started it, however that one ends: the channel between the two then closes.
import { settingsFromEnvironment, startServer } from "@holdfast/server"
import { Effect } from "effect"
import { ensureAdmin } from "../../../packages/server/src/modules/auth/service.ts"

/** What the parent process gets to hear. */
export type ServerMessage = { readonly url: string; readonly port: number } | { readonly failed: string }

const tell = (message: ServerMessage): void => void process.send?.(message)

try {
  const settings = await Effect.runPromise(settingsFromEnvironment.pipe(Effect.orDie))
  const server = await startServer({ ...settings, port: Number(process.argv[2]) }, { logLevel: "Warn" })
  process.on("disconnect", () => void server.stop().finally(() => process.exit()))
  const { HOLDFAST_ADMIN_EMAIL: email, HOLDFAST_ADMIN_PASSWORD: password } = process.env
  if (email !== undefined && password !== undefined)
    await server.runtime.runPromise(ensureAdmin(email, password))
  tell({ url: server.url, port: server.port })
} catch (error) {
  tell({ failed: error instanceof Error ? error.message : String(error) })
  process.exitCode = 1
  process.disconnect()
}
