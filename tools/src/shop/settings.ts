import { type ServerSettings, settingsFromEnvironment } from "@holdfast/server"
import { ConfigProvider, Effect } from "effect"

/** A setting in the environment is missing or wrong. The message names it. */
class SettingsError extends Error {
  override readonly name = "SettingsError"
}

const UNLIMITED = "1000000000"

/**
 * For a shop whose customers are all played by one machine: the limits that keep one caller from taking the place of
 * others are out of the way. Those of wrong passwords stay.
 */
export const ONE_MACHINE_PLAYS_ALL = {
  HOLDFAST_READS_PER_MINUTE: UNLIMITED,
  HOLDFAST_WRITES_PER_MINUTE: UNLIMITED,
  HOLDFAST_SUBSCRIPTIONS_PER_MINUTE: UNLIMITED,
  HOLDFAST_CALLS_PER_MINUTE_AND_ADDRESS: UNLIMITED,
  HOLDFAST_SIGN_UPS_PER_HOUR: UNLIMITED,
  HOLDFAST_HASHES_WAITING: "100000",
  HOLDFAST_HASHES_WAITING_PER_ADDRESS: "100000"
} as const

/** For a load whose customers order much and pay late, or never. */
export const UNPAID_AT_WILL = {
  HOLDFAST_MAX_UNPAID_ORDERS: UNLIMITED,
  HOLDFAST_MAX_UNPAID_UNITS: UNLIMITED
} as const

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
