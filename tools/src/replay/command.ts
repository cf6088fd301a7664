import { BigDecimal, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { json, program, toggle, wholeNumber } from "../cli.ts"
import { parseDecimal } from "./decimal.ts"

const MAXIMUM_FACTOR = 100
const FACTORS = { minimum: BigDecimal.fromBigInt(0n), maximum: BigDecimal.fromBigInt(BigInt(MAXIMUM_FACTOR)) }

const stockFactor = Flag.String("stock-factor").pipe(
  Flag.withMetavar("F"),
  Flag.withDescription(
    `initial stock as a share of the units that the orders ask for, 0 to ${MAXIMUM_FACTOR} (default 1)`
  ),
  Flag.withDefault("1"),
  Flag.filterMap(
    (text) =>
      Option.filter(Option.fromUndefinedOr(parseDecimal(text)), (factor) =>
        BigDecimal.between(factor, FACTORS)
      ),
    () => `a decimal number from 0 to ${MAXIMUM_FACTOR}`
  )
)

/** The replay's argument and flags. */
export const replayOptions = {
  file: Argument.String("FILE").pipe(
    Argument.withMetavar("csv or csv.gz"),
    Argument.withDescription("invoices in the Online Retail format")
  ),
  workers: wholeNumber("workers", "concurrent calls", { maximum: 1_000, defaultTo: 32 }),
  stockFactor,
  seed: wholeNumber("seed", "seed of the order of the work", {
    minimum: 0,
    maximum: 2 ** 32 - 1,
    defaultTo: 1
  }),
  json,
  fresh: toggle("fresh", "starts over; without it an interrupted replay continues")
}

export const replay = Command.make(
  "replay",
  replayOptions,
  program("replay", 1, () => import("./replay.ts"))
).pipe(
  Command.withShortDescription("Replays real invoices and proves the books"),
  Command.withDescription(`Replays the invoices of a file through the client, then proves the books.

  Without HOLDFAST_URL it starts its own stores and server, with data in .holdfast/. With it, it uses that server;
  HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD are its administrator's, HOLDFAST_MYSQL_URL the database to audit.
  The exit code is 1 when a check fails, 130 when the replay is interrupted.`),
  Command.withExamples([{ command: "npm run replay -- online-retail.csv.gz --stock-factor 0.5" }])
)
