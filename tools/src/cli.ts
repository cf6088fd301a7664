/** What the repository's commands share: how they are run, and the flags that several of them have. */
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as NodeStdio from "@effect/platform-node-shared/NodeStdio"
import * as NodeTerminal from "@effect/platform-node-shared/NodeTerminal"
import { Effect, Layer, Option } from "effect"
import { CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag, type HelpDoc } from "effect/cli"

/** The exit code of a command line that is not understood. */
const USAGE_ERROR = 2

/** npm passes on only the flags after `--`, so the usage shows it. */
const asTyped = (help: HelpDoc.HelpDoc): HelpDoc.HelpDoc => ({
  ...help,
  usage: help.usage.replace(/^(npm run [\w-]+) /, "$1 -- ")
})

const { formatHelpDoc } = CliOutput.defaultFormatter({ colors: false })

/** Help that was asked for goes to stdout. A usage error goes to stderr, so that stdout only ever holds results. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    Effect.sync(() => {
      if (event._tag === "Version") return console.log(event.version)
      const help = formatHelpDoc(asTyped(event.helpDoc))
      if (event._tag === "Help") return console.log(help)
      const command = event.commandPath.at(-1) ?? ""
      for (const { message } of event.errors) console.error(`${command}: ${message}`)
      console.error(`\n${help}`)
    })
})

const platform = Layer.provideMerge(
  NodeChildProcessSpawner.layer,
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeStdio.layer, NodeTerminal.layer)
)

/** The services of the command-line module, on Node. */
export const cliServices = Layer.mergeAll(
  platform,
  presenter,
  CliConfig.layer({ builtIns: [GlobalFlag.Help] })
)

/**
 * Runs a command tree and sets the exit code of a command line that it does not understand. The exit code of a
 * command that ran is set by its handler, see `program`.
 */
export const runCommands = <Name extends string, Input, ContextInput, E>(
  commands: Command.Command<Name, Input, ContextInput, E, Command.Environment>,
  args: ReadonlyArray<string>
): Promise<void> =>
  Command.runWith(commands, { version: "" })(args).pipe(
    Effect.catchIf(
      (error) => error instanceof CliError.ShowHelp,
      ({ errors }) => Effect.sync(() => void (process.exitCode = errors.length === 0 ? 0 : USAGE_ERROR))
    ),
    Effect.provide(cliServices),
    Effect.runPromise
  )

/** What the module of a command's body exports. Its answer is the exit code. */
export interface Program<Options> {
  readonly run: (options: Options) => Promise<number>
}

/**
 * The handler of a command. It loads the body when the command runs, so that no command waits for the imports of
 * another.
 * @param name introduces the message of a failure
 * @param failureCode the exit code of a failure
 * @param textOf what to print of a failure; its message by default
 */
export const program =
  <Options>(
    name: string,
    failureCode: number,
    load: () => Promise<Program<Options>>,
    textOf: (error: Error) => string = ({ message }) => message
  ) =>
  (options: Options): Effect.Effect<void> =>
    Effect.promise(async () => {
      try {
        await readSecretFiles()
        const { run } = await load()
        process.exitCode = await run(options)
      } catch (error) {
        console.error(`${name}: ${error instanceof Error ? textOf(error) : String(error)}`)
        process.exitCode = failureCode
      }
    })

/** What may be in a file instead: `HOLDFAST_SECRET_FILE` names the file of `HOLDFAST_SECRET`. */
const SECRETS = [
  "HOLDFAST_ACCEPTED_SECRETS",
  "HOLDFAST_ADMIN_PASSWORD",
  "HOLDFAST_MYSQL_URL",
  "HOLDFAST_REDIS_URL",
  "HOLDFAST_SECRET",
  "HOLDFAST_WEBHOOK_FORMER_SECRETS",
  "HOLDFAST_WEBHOOK_SECRET",
  "HOLDFAST_WEBHOOK_URL"
]

/** The commands, and the processes that they start, find the text in the plain variables. */
const readSecretFiles = async (): Promise<void> => {
  const named = SECRETS.filter((name) => process.env[`${name}_FILE`])
  if (named.length === 0) return
  const { secretOf } = await import("@holdfast/server")
  for (const name of named) {
    process.env[name] = secretOf(name, process.env)
    delete process.env[`${name}_FILE`]
  }
}

export interface WholeNumber {
  /** Default 1. */
  readonly minimum?: number
  readonly maximum: number
  /** A value, or an effect that is run where the flag is absent. */
  readonly defaultTo: number | Effect.Effect<number>
}

/** A flag for a whole number. Its help ends with the bounds and the default. */
export const wholeNumber = (
  name: string,
  description: string,
  { defaultTo, maximum, minimum = 1 }: WholeNumber
): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription(
      `${description}, ${minimum} to ${maximum} (default ${typeof defaultTo === "number" ? defaultTo : "random"})`
    ),
    Flag.filterMap(
      (text) => {
        const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
        return value >= minimum && value <= maximum ? Option.some(value) : Option.none()
      },
      () => `a whole number from ${minimum} to ${maximum}`
    ),
    Flag.withDefault(defaultTo)
  )

/** A flag for a number above 0, such as 0.5. Its help ends with the bound and the default. */
export const positiveNumber = (
  name: string,
  description: string,
  { defaultTo, maximum }: { readonly maximum: number; readonly defaultTo: number }
): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription(`${description}, at most ${maximum} (default ${defaultTo})`),
    Flag.filterMap(
      (text) => {
        const value = /^\d{1,16}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN
        return value > 0 && value <= maximum ? Option.some(value) : Option.none()
      },
      () => `a number above 0, at most ${maximum}`
    ),
    Flag.withDefault(defaultTo)
  )

/** A flag that is off unless it is given. */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withoutNegation, Flag.withDefault(false))

export const json = toggle("json", "prints the result as JSON on stdout, and nothing else there")
