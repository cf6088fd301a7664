import { type ServerSettings, settingsFromEnvironment } from "@holdfast/server"
import { ConfigProvider, Effect } from "effect"

/** A setting in the environment is missing or wrong. The message names it. */
class SettingsError extends Error {
  override readonly name = "SettingsError"
}

/**
 * The server's settings, by the names of their environment variables.
 * @param defaults apply where the environment has no value
 * @param decided override the environment
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

/** An empty variable counts as absent. */
const presentVariables = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || value === "" ? [] : [[name, value]]
    )
  )
