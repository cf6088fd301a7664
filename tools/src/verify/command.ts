import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { json, program } from "../cli.ts"

const database = Flag.String("database").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription(
    "mysql://user:password@host:port/database (default HOLDFAST_MYSQL_URL, else the shop of npm start)"
  ),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const verify = Command.make(
  "verify",
  { database, json },
  program("verify", 2, () => import("./verify.ts"))
).pipe(
  Command.withShortDescription("Audits a shop's database and Redis"),
  Command.withDescription(`Audits a shop's database, and its Redis when that answers.

  The exit code is 1 when a check fails, 2 when the audit cannot be made.`)
)
