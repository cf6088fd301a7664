import { Command } from "effect/cli"
import { program } from "../cli.ts"

export const start = Command.make(
  "start",
  {},
  program("holdfast", 1, () => import("./start.ts"))
).pipe(
  Command.withShortDescription("Serves a shop for development until Ctrl-C"),
  Command.withDescription(`Serves a shop for development until Ctrl-C: finds or fetches MySQL or MariaDB and Redis, migrates, seeds.

  Data stay in .holdfast/ between runs; HOLDFAST_DATA names another directory. HOST and PORT (default 3000) say where
  it listens; HOLDFAST_MYSQL_URL and HOLDFAST_REDIS_URL name stores that run already.

  The demo's crowd comes from this machine, so the limits of calls and sign-ups (docs/limits.md) are off unless they are
  set; those of wrong passwords are not.`)
)
