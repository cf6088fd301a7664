import { InvalidAddress } from "@holdfast/locks"
import { Config, Duration, Option, Redacted, Result, Schema, SchemaIssue } from "effect"
import { readFileSync } from "node:fs"

/** One environment variable, as an operator knows it. */
export interface Setting {
  readonly name: string
  /** What it sets, in one phrase. */
  readonly meaning: string
  /** The default, as an operator would write it. */
  readonly fallback?: string
  /** What of its value may be shown. Default: all of it. */
  readonly mask?: (value: string) => string
  /** The value may come from the file that `{name}_FILE` names. */
  readonly mayBeFile?: boolean
  /** Only with this other setting it has to be set. */
  readonly requiredWith?: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Every setting that has been declared, by name. */
export const declared = new Map<string, Setting & { readonly config: Config.Config<unknown> }>()

const declare = <A>(setting: Setting, config: Config.Config<A>): Config.Config<A> => {
  declared.set(setting.name, { ...setting, config })
  return config
}

/** Any longer, and a time in the future could not be stored. */
const LONGEST_MS = 3_650 * 86_400_000

/** A duration such as `5 seconds`, up to ten years, in whole milliseconds. */
export const milliseconds = (
  name: string,
  fallback: `${number} ${"millis" | "second" | "seconds" | "minutes" | "hour" | "hours" | "days"}`,
  meaning: string
): Config.Config<number> =>
  declare(
    { name, meaning, fallback },
    Config.schema(
      Schema.DurationFromString.check(
        Schema.makeFilter(
          (duration: Duration.Duration) => {
            const ms = Duration.toMillis(duration)
            return Number.isInteger(ms) && ms >= 0 && ms <= LONGEST_MS
          },
          { message: `${name} must be a duration from 0 to 3650 days in whole milliseconds` }
        )
      ),
      name
    ).pipe(Config.withDefault(Duration.fromInputUnsafe(fallback)), Config.map(Duration.toMillis))
  )

/** A whole number from `minimum` to `maximum`. */
export const whole = (name: string, fallback: number, minimum: number, maximum: number, meaning: string) =>
  declare(
    { name, meaning, fallback: String(fallback) },
    Config.schema(wholeBetween(name, minimum, maximum), name).pipe(Config.withDefault(fallback))
  )

/** A whole number that need not be set. */
export const optionalWhole = (name: string, minimum: number, maximum: number, meaning: string) =>
  declare(
    { name, meaning },
    Config.schema(wholeBetween(name, minimum, maximum), name).pipe(Config.withDefault(undefined))
  )

const wholeBetween = (name: string, minimum: number, maximum: number) =>
  Schema.Int.check(
    Schema.isBetween(
      { minimum, maximum },
      { message: `${name} must be a whole number from ${minimum} to ${maximum}` }
    )
  )

/** `true` or `false`. */
export const flag = (name: string, fallback: boolean, meaning: string) =>
  declare(
    { name, meaning, fallback: String(fallback) },
    Config.Boolean(name).pipe(Config.withDefault(fallback))
  )

/** `true` or `false`. Without a value it is on, except where `NODE_ENV` is `production`. */
export const flagUnlessProduction = (name: string, meaning: string) =>
  declare(
    { name, meaning, fallback: "true; false in production" },
    Config.flatMap(isProduction, (isOff) => Config.Boolean(name).pipe(Config.withDefault(!isOff)))
  )

const isProduction = Config.String("NODE_ENV").pipe(
  Config.withDefault(""),
  Config.map((environment) => environment === "production")
)

/** Origins of the web that are allowed. */
export type Origins = "any" | ReadonlyArray<string>

/** Origins separated by commas, or `*`. Without a value: any, and where `NODE_ENV` is `production` none. */
export const origins = (name: string, meaning: string) =>
  declare(
    { name, meaning, fallback: "*; none in production" },
    Config.all({ isProduction, list: Config.option(Config.String(name)) }).pipe(
      Config.flatMap(({ isProduction: isClosed, list }): Config.Config<Origins> => {
        if (Option.isNone(list)) return Config.succeed(isClosed ? [] : "any")
        const named = list.value
          .split(",")
          .map((origin) => origin.trim())
          .filter((origin) => origin !== "")
        if (named.length === 1 && named[0] === "*") return Config.succeed("any")
        return named.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin)
          ? Config.succeed(named)
          : refuse(`${name} must be * or origins such as https://shop.example, separated by commas`)
      })
    )
  )

/** Any text. */
export const text = <A extends string | undefined>(name: string, fallback: A, meaning: string) =>
  declare(
    { name, meaning, ...(fallback === undefined ? {} : { fallback }) },
    Config.String(name).pipe(Config.withDefault(fallback))
  )

/** One of several words. */
export const oneOf = <const Words extends ReadonlyArray<string>>(
  name: string,
  words: Words,
  fallback: Words[number],
  meaning: string
) =>
  declare(
    { name, meaning: `${meaning}: ${words.join(", ")}`, fallback },
    Config.schema(Schema.Literals(words), name).pipe(Config.withDefault(fallback))
  )

/**
 * The text of a setting that may be secret: of the variable, or of the file that `{name}_FILE` names, without the line
 * break at its end. `undefined` when neither is set. Throws an `Error` that names the variable.
 */
export const secretOf = (name: string, environment: Environment): string | undefined => {
  const [value, path] = [environment[name], environment[`${name}_FILE`]]
  if (path === undefined || path === "") return value
  if (value !== undefined && value !== "")
    throw new Error(`${name} and ${name}_FILE are both set; set one of them`)
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "")
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`${name}_FILE names a file that cannot be read (${code})`, { cause: error })
  }
}

/** A setting that may be secret, from its variable or its file. Messages name the variable and never the value. */
const secret = (setting: Setting, codec: Schema.Codec<string, string>): Config.Config<string> => {
  const { name } = setting
  const config = Config.all({
    value: Config.option(Config.String(name)),
    path: Config.option(Config.String(`${name}_FILE`))
  }).pipe(
    Config.flatMap(({ path, value }) => {
      // Without a file it is a setting like any other, which may be missing.
      if (Option.isNone(path) || path.value === "") return Config.schema(codec, name)
      const read = Result.try(() =>
        secretOf(name, { [name]: Option.getOrUndefined(value), [`${name}_FILE`]: path.value })
      )
      if (Result.isFailure(read)) return refuse((read.failure as Error).message)
      const decoded = Schema.decodeUnknownResult(codec)(read.success)
      return Result.isSuccess(decoded) ? Config.succeed(decoded.success) : Config.fail(decoded.failure)
    })
  )
  return declare({ mask: () => MASK, mayBeFile: true, ...setting }, config)
}

const MASK = "***"

const refuse = (message: string): Config.Config<never> =>
  Config.fail(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** An address of a store. It may hold a password, so its value is redacted in every message. */
export const address = (name: string, optionsOf: (url: string) => unknown, meaning: string) =>
  secret(
    { name, meaning, mask: hostOf },
    Schema.String.check(Schema.makeFilter((url: string) => faultOfAddress(name, url, optionsOf)))
  ).pipe(Config.map((url) => Redacted.make(url)))

const faultOfAddress = (
  name: string,
  url: string,
  optionsOf: (url: string) => unknown
): string | undefined => {
  try {
    optionsOf(url)
    return undefined
  } catch (error) {
    if (error instanceof InvalidAddress) return `${name} ${error.reason}`
    throw error
  }
}

/** What of an address is no secret. */
const hostOf = (url: string): string => {
  if (!URL.canParse(url)) return MASK
  const { host, pathname, protocol, username } = new URL(url)
  return `${protocol}//${username === "" ? "" : `${MASK}@`}${host}${protocol.startsWith("http") ? "" : pathname}`
}

/** A secret of `minimumLength` characters or more. */
export const secretText = (name: string, minimumLength: number, meaning: string, requiredWith?: string) =>
  secret(
    { name, meaning, ...(requiredWith === undefined ? {} : { requiredWith }) },
    Schema.String.check(
      Schema.isMinLength(minimumLength, {
        message: `${name} must have at least ${minimumLength} characters`
      })
    )
  ).pipe(Config.map((value) => Redacted.make(value)))

/** Secrets, one a line. None where the setting is missing. */
export const secretTexts = (name: string, minimumLength: number, meaning: string) =>
  secret(
    // Without itself it is not required.
    { name, meaning, requiredWith: name },
    Schema.String.check(
      Schema.makeFilter((lines: string) => linesOf(lines).every((line) => line.length >= minimumLength), {
        message: `${name} must have secrets of at least ${minimumLength} characters, one a line`
      })
    )
  ).pipe(
    Config.withDefault(""),
    Config.map((lines) => linesOf(lines).map((line) => Redacted.make(line)))
  )

const linesOf = (lines: string): ReadonlyArray<string> => lines.split(/\r?\n/).filter((line) => line !== "")

/** An address of the web. `fetch` takes none with credentials, and would quote them in its error. */
export const webUrl = (name: string, meaning: string) =>
  Config.option(
    secret(
      // Without itself it is not required.
      { name, meaning, mask: hostOf, requiredWith: name },
      Schema.String.check(
        Schema.makeFilter(
          (url: string) => URL.canParse(url) && ["http:", "https:"].includes(new URL(url).protocol),
          { message: `${name} must be a URL that starts with http:// or https://` }
        ).abort(),
        Schema.makeFilter(
          (url: string) => {
            const { password, username } = new URL(url)
            return username === "" && password === ""
          },
          { message: `${name} must not hold a user name or password` }
        )
      )
    )
  )
