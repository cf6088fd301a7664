// A Holdfast server in a process of its own. Its settings are environment variables, its argument is the port (0: any
// free one). It stops when the process that started it ends for any reason, because that closes their channel.
import { ensureAdmin, settingsFromEnvironment, startServer } from "@holdfast/server"
import { Effect } from "effect"

/** What the process sends to its parent: one message, when the server listens or has failed. */
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
