import type { ShopFigures } from "../../shop/index.ts"
import { scenarioNames } from "../../shop/comparison.ts"
import { paragraphs, table, textOf, yesOrNo } from "../markdown.ts"

/** What has to be exactly so, and what is wrong with the books of each shop. */
export const booksSection = (shop: ShopFigures): string =>
  paragraphs(
    "## Exactness",
    `Of Holdfast, all of this must hold. The books are those of the whole run: the audit of \`npm run verify\` for Holdfast
and the floor, six queries for the naive shop.`,
    table(["Holdfast", "required", "found", "holds"], requirements(shop)),
    "What is wrong with the books of each shop:",
    Object.entries(shop.faultsInBooks)
      .map(([name, faults]) => `- **${name}**: ${faults.length === 0 ? "nothing" : faults.join("; ")}`)
      .join("\n")
  )

const requirements = (shop: ShopFigures): ReadonlyArray<ReadonlyArray<string>> => {
  const failures = scenarioNames.reduce((sum, name) => sum + (shop[name]?.failures ?? 0), 0)
  const { burst, stampede } = shop
  const sameUser = shop.alreadyHas?.sameUser
  return [
    requirement("answers other than expected, all scenarios", 0, failures),
    ...(burst === undefined
      ? []
      : [
          requirement(
            `coupons issued in a burst of ${textOf(burst.asked)} callers`,
            burst.coupons,
            burst.issued
          ),
          requirement("of those, in the database", burst.issued, burst.inDatabase)
        ]),
    ...(sameUser === undefined
      ? []
      : [requirement(`coupons of one user who asks ${sameUser.asked} times at once`, 1, sameUser.issued)]),
    ...(stampede === undefined
      ? []
      : [requirement("selects of 500 readers of one product that is not cached", 1, stampede.product)]),
    requirement("faults in the books", 0, shop.faultsInBooks["holdfast"]?.length ?? 0)
  ]
}

const requirement = (what: string, required: number, found: number | undefined) => [
  what,
  textOf(required),
  textOf(found),
  yesOrNo(found === required)
]
