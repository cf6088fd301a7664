import { type ServerSettings, settingsFromEnvironment } from "@holdfast/server"
import { ConfigProvider, Effect } from "effect"

/** A setting in the environment is missing or wrong; the message names it. */
export class SettingsError extends Error {
  override readonly name = "SettingsError"
}

/**
 * The server's settings, from environment variables.
 * @param defaults what counts where the environment says nothing
 * @param decided what the command itself decides, whatever the environment says
 */
export const serverSettings = (
  defaults: Readonly<Record<string, string>>,
  decided: Readonly<Record<string, string>>
): Promise<ServerSettings> => {
  const env = { ...defaults, ...presentVariables(), ...decided }
  return Effect.runPromise(
    settingsFromEnvironment.pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
      Effect.mapError((error) => new SettingsError(error.message))
    )
  )
}

/** An empty variable counts as none, as it does for a shell. */
const presentVariables = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || value === "" ? [] : [[name, value]]
    )
  )
