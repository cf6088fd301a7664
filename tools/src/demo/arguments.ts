import { parseArgs } from "node:util"

export const USAGE = `npm run demo -- [--users 1000] [--coupons 100] [--units 50] [--json]

A flash sale against the server that npm start runs: all users ask three times each, at once, for a campaign's
coupon, and order one unit of a product. Then it proves that exactly as many won as there was to win.

  --users N      how many race, 2 to 5000 (1000)
  --coupons N    how many coupons the campaign has (100)
  --units N      how many units the product has (50)
  --json         the result as JSON on stdout, and nothing else there

HOLDFAST_URL names another server; then HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD say who its administrator
is, and HOLDFAST_MYSQL_URL and HOLDFAST_REDIS_URL which stores to audit at the end.`

export interface DemoOptions {
  readonly users: number
  readonly coupons: number
  readonly units: number
  readonly json: boolean
}

/** The command was not asked in a way that it understands. */
export class UsageError extends Error {
  override readonly name = "UsageError"
}

/** @returns what was asked for; "help" when that was it. */
export const parseDemoArguments = (args: ReadonlyArray<string>): DemoOptions | "help" => {
  const values = parsed(args)
  if (values.help) return "help"
  return {
    users: whole("--users", values.users, 2, 5_000),
    coupons: whole("--coupons", values.coupons, 1, 1_000_000),
    units: whole("--units", values.units, 1, 1_000_000),
    json: values.json
  }
}

const parsed = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        users: { type: "string", default: "1000" },
        coupons: { type: "string", default: "100" },
        units: { type: "string", default: "50" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const whole = (name: string, text: string, minimum: number, maximum: number): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < minimum || value > maximum)
    throw new UsageError(`${name} must be a whole number from ${minimum} to ${maximum}, not ${text}`)
  return value
}
