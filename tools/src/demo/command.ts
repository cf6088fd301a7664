import { Command } from "effect/cli"
import { json, program, wholeNumber } from "../cli.ts"

export const demo = Command.make(
  "demo",
  {
    users: wholeNumber("users", "users who race", { minimum: 2, maximum: 5_000, defaultTo: 1_000 }),
    coupons: wholeNumber("coupons", "coupons of the campaign", { maximum: 1_000_000, defaultTo: 100 }),
    units: wholeNumber("units", "units of the product in stock", { maximum: 1_000_000, defaultTo: 50 }),
    json
  },
  program("demo", 2, () => import("./demo.ts"))
).pipe(
  Command.withShortDescription("Holds a flash sale on a running server and proves its result"),
  Command.withDescription(`Holds a flash sale on the server that npm start runs, and proves its result.

  All users ask for a campaign's coupon, three times each, and order one unit of a product, all at once. The proof
  then shows that exactly as many won as there was to win. The exit code is 1 when it does not, 2 when the sale fails.

  HOLDFAST_URL names another server. Then HOLDFAST_ADMIN_EMAIL and HOLDFAST_ADMIN_PASSWORD are its administrator's,
  and HOLDFAST_MYSQL_URL and HOLDFAST_REDIS_URL the stores to audit.`),
  Command.withExamples([{ command: "npm run demo -- --users 3000 --coupons 10 --units 5" }])
)
