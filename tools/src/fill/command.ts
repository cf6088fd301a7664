import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { program, wholeNumber } from "../cli.ts"

const database = Flag.String("database").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription(
    "mysql://user:password@host:port/database, migrated (default HOLDFAST_MYSQL_URL, else the shop of npm start)"
  ),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const fill = Command.make(
  "fill",
  {
    database,
    orders: wholeNumber("orders", "orders to insert", { maximum: 100_000_000, defaultTo: 10_000 })
  },
  program("fill", 2, () => import("./fill.ts"))
).pipe(
  Command.withShortDescription("Fills a shop with orders"),
  Command.withDescription(`Fills a shop with buyers, products and orders of the last 30 days, by SQL.

  The books are right: nine orders of ten are paid, and one of fifty is cancelled after that. Events are those of the last
  seven days. Nobody may sell meanwhile.`)
)
