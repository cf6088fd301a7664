#!/usr/bin/env node
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as NodeStdio from "@effect/platform-node-shared/NodeStdio"
import * as NodeTerminal from "@effect/platform-node-shared/NodeTerminal"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Argument, CliConfig, CliError, Command, Flag, GlobalFlag } from "effect/cli"
import { readFileSync } from "node:fs"

/** The exit code when a command cannot do its work: a wrong command line or setting, or stores out of reach. */
const FAILED = 2

type Operations = typeof import("./operations.ts")

/** A handler. It loads the server when the command runs, so that help does not wait for it. */
const run =
  <Options>(operation: (operations: Operations, options: Options) => Promise<number>) =>
  (options: Options): Effect.Effect<void> =>
    Effect.promise(async () => {
      const operations = await import("./operations.ts")
      try {
        process.exitCode = await operation(operations, options)
      } catch (error) {
        console.error(`holdfast: ${operations.explain(error)}`)
        process.exitCode = FAILED
      }
    })

const serve = Command.make(
  "serve",
  {
    role: Flag.Literals("role", ["web", "worker", "all"]).pipe(
      Flag.withDescription("web answers calls, worker runs the background jobs, all does both"),
      Flag.withDefault("all" as const)
    ),
    processes: Flag.Int("processes").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 }))),
      Flag.withDescription("processes that share the port; one that dies is replaced"),
      Flag.withDefault(1)
    )
  },
  // An end of its own accord first takes down the listeners of signals, and one more signal would kill the process.
  run(async ({ serve }, options) => process.exit(await serve(options)))
).pipe(Command.withDescription("Serves until SIGINT or SIGTERM. The database has to be migrated"))

const migrate = Command.make(
  "migrate",
  {},
  run(({ runMigrations }) => runMigrations())
).pipe(Command.withDescription("Migrates the database"))

const newEpoch = Command.make(
  "new-epoch",
  {},
  run(({ newEpoch }) => newEpoch())
).pipe(
  Command.withDescription(
    "Makes worthless what Redis has of the database's past. Run it after restoring a backup, before servers start"
  )
)

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("prints JSON"),
  Flag.withoutNegation,
  Flag.withDefault(false)
)

const verify = Command.make(
  "verify",
  {
    json,
    check: Flag.String("check").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("makes this check only; may be repeated"),
      Flag.atLeast(0)
    )
  },
  run(({ audit }, options) => audit(options))
).pipe(
  Command.withDescription(
    "Audits the database, and its Redis when that answers. The exit code is 1 when a check fails. An audit that takes long says on stderr how far it is"
  )
)

const config = Command.make(
  "config",
  {
    json,
    markdown: Flag.Boolean("markdown").pipe(
      Flag.withDescription("prints the documentation's table"),
      Flag.withoutNegation,
      Flag.withDefault(false)
    )
  },
  run(({ showSettings }, options) =>
    showSettings(options.markdown ? "markdown" : options.json ? "json" : "text")
  )
).pipe(
  Command.withDescription("Shows every setting: its value, where that comes from, its default and meaning")
)

const email = Argument.String("email").pipe(Argument.withDescription("the user's e-mail address"))

const generate = Flag.Boolean("generate").pipe(
  Flag.withDescription("makes up a password and prints it, instead of reading one from stdin"),
  Flag.withoutNegation,
  Flag.withDefault(false)
)

const changes = {
  grant: "Makes a user an administrator",
  revoke: "Takes an administrator's role",
  block: "Keeps a user from logging in",
  unblock: "Lets a blocked user log in again"
} as const

const admin = Command.make("admin").pipe(
  Command.withDescription("Manages administrators. A change of access ends all sessions of the user"),
  Command.withSubcommands([
    Command.make(
      "create",
      { email, generate },
      run(({ createAdministrator }, options) => createAdministrator(options.email, options.generate))
    ).pipe(Command.withDescription("Creates an administrator, whose password it reads from stdin")),
    ...(["grant", "revoke", "block", "unblock"] as const).map((change) =>
      Command.make(
        change,
        { email },
        run(({ changeAccess }, options) => changeAccess(options.email, change))
      ).pipe(Command.withDescription(changes[change]))
    )
  ])
)

const holdfast = Command.make("holdfast").pipe(
  Command.withDescription(`A commerce core that stays exact under any concurrency.

  Settings come from the environment; \`holdfast config\` shows all of them. Those that may be secret can be in a file,
  which HOLDFAST_SECRET_FILE names, for instance.`),
  Command.withSubcommands([serve, migrate, newEpoch, verify, config, admin]),
  Command.withExamples([
    { command: "holdfast migrate" },
    { command: "holdfast serve --role web --processes 2" },
    { command: "holdfast verify --json" }
  ])
)

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}

const services = NodeChildProcessSpawner.layer.pipe(
  Layer.provideMerge(
    Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeStdio.layer, NodeTerminal.layer)
  ),
  Layer.merge(CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }))
)

await using runtime = ManagedRuntime.make(services)
await runtime.runPromise(
  Command.runWith(holdfast, { version })(process.argv.slice(2)).pipe(
    Effect.catchIf(
      (error) => error instanceof CliError.ShowHelp,
      () => Effect.sync(() => void (process.exitCode = FAILED))
    )
  )
)
