import { parseArgs } from "node:util"
import { type Decimal, parseDecimal } from "./decimal.ts"

export const USAGE = `npm run replay -- FILE.csv[.gz] [--workers 32] [--stock-factor 1] [--seed 1] [--json] [--fresh]

Replays the invoices of a file in the Online Retail format through the client, then proves the books.

  --workers N        calls under way at once, 1 to 1000 (32)
  --stock-factor F   how much of the demanded units there is at the beginning, 0 to 100 (1)
  --seed N           decides the order of the work (1)
  --json             the result as JSON on stdout, and nothing else there
  --fresh            begins anew; without it a replay that was interrupted goes on

Without HOLDFAST_URL it starts servers of its own, with data in .holdfast/. With it, it uses that server:
HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD say who its administrator is, HOLDFAST_MYSQL_URL which
database to audit at the end.`

export interface Arguments {
  readonly file: string
  readonly workers: number
  readonly stockFactor: Decimal
  readonly seed: number
  readonly json: boolean
  readonly fresh: boolean
}

/** The command was not asked in a way that it understands. */
export class UsageError extends Error {
  override readonly name = "UsageError"
}

const MAXIMUM_WORKERS = 1000
const MAXIMUM_FACTOR = 100
const MAXIMUM_SEED = 2 ** 32 - 1

/** @returns what was asked for; "help" when that was it. */
export const parseArguments = (args: ReadonlyArray<string>): Arguments | "help" => {
  const { positionals, values } = parsed(args)
  if (values.help) return "help"
  const [file, ...more] = positionals
  if (file === undefined) throw new UsageError("which file? Name one in the Online Retail format")
  if (more.length > 0) throw new UsageError(`one file at a time; ${more.join(" ")} is too much`)
  return {
    file,
    workers: wholeOption("--workers", values.workers, 1, MAXIMUM_WORKERS),
    stockFactor: factorOption(values["stock-factor"]),
    seed: wholeOption("--seed", values.seed, 0, MAXIMUM_SEED),
    json: values.json,
    fresh: values.fresh
  }
}

const parsed = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        workers: { type: "string", default: "32" },
        "stock-factor": { type: "string", default: "1" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        fresh: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const wholeOption = (name: string, text: string, minimum: number, maximum: number): number => {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= minimum && value <= maximum) return value
  throw new UsageError(`${name} ${text}: must be a whole number from ${minimum} to ${maximum}`)
}

const factorOption = (text: string): Decimal => {
  const factor = parseDecimal(text)
  if (factor !== undefined && factor.digits >= 0n && Number(text) <= MAXIMUM_FACTOR) return factor
  throw new UsageError(`--stock-factor ${text}: must be a decimal number from 0 to ${MAXIMUM_FACTOR}`)
}
