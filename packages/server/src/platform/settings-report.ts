import { closest, distance } from "fastest-levenshtein"
import { Cause, type Config, Effect, Exit, Result } from "effect"
import { declared, type Environment, secretOf, type Setting } from "./settings.ts"

/** Everything that is wrong with the settings of an environment. Each fault names its variable, none a secret value. */
export const faultsOfSettings = Effect.fnUntraced(function* (environment: Environment) {
  const faults = [...unknownNames(environment)]
  for (const setting of declared.values()) {
    const exit = yield* Effect.exit(setting.config)
    if (Exit.isSuccess(exit)) continue
    const { meaning, name, requiredWith } = setting
    const isMissing = !isSet(environment, name)
    if (isMissing && requiredWith !== undefined && !isSet(environment, requiredWith)) continue
    if (isMissing) faults.push(`${name} is not set: ${meaning}`)
    else faults.push(faultOf(name, exit.cause))
  }
  return faults
})

const isSet = (environment: Environment, name: string): boolean =>
  environment[name] !== undefined || Boolean(environment[`${name}_FILE`])

const faultOf = (name: string, cause: Cause.Cause<Config.ConfigError>): string => {
  const error = Cause.findError(cause)
  const message = Result.isSuccess(error) ? error.success.cause.message.split("\n", 1)[0]! : "cannot be read"
  return message.startsWith(name) ? message : `${name}: ${message}`
}

/** Variables of the repository's own programs, and those that Kubernetes sets for a service of this name. */
const OTHERS =
  /^HOLDFAST_(SOURCE|DATA|URL|TMPDIR|KEEP|SEED|PROGRESS_MS|TIMELINES|SEARCH_PATH|NTH_PROCESS|ADMIN_\w+|CRASH_\w+|REQUIRE_DOCKER|SQL_KIND|REDIS_KIND|\w+_IMAGE|TEST_\w+|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$/

/** A name further away than this from all others is no misspelling of one. */
const NEAR = 6

/** Nobody reads a setting whose name is misspelt, so it is refused. */
const unknownNames = (environment: Environment): ReadonlyArray<string> => {
  const names = [...declared.values()].flatMap(({ mayBeFile, name }) =>
    mayBeFile ? [name, `${name}_FILE`] : [name]
  )
  return Object.keys(environment)
    .filter((name) => name.startsWith("HOLDFAST_") && !names.includes(name) && !OTHERS.test(name))
    .map((name) => {
      const nearest = closest(name, names)
      const hint = distance(name, nearest) <= NEAR ? `; did you mean ${nearest}?` : ""
      return `${name} is no setting${hint}`
    })
}

/** A setting with its value in an environment. */
export interface SettingReport extends Pick<Setting, "name" | "meaning"> {
  /** Masked where it may be secret; `undefined` when it is not set and has no default. */
  readonly value: string | undefined
  readonly source: "environment" | "file" | "default"
  readonly default: string | undefined
}

/** Every setting, in the order of declaration, with its value in an environment that has no faults. */
export const reportOfSettings = (environment: Environment): ReadonlyArray<SettingReport> =>
  [...declared.values()].map(({ fallback, mask = (value) => value, meaning, name }) => {
    const source = !isSet(environment, name) ? "default" : environment[name] ? "environment" : "file"
    const value = source === "default" ? fallback : mask(secretOf(name, environment) ?? "")
    return { name, value, source, default: fallback, meaning }
  })
