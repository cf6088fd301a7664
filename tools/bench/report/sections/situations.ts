import type { ShopFigures } from "../../shop/index.ts"
import { paragraphs, table } from "../markdown.ts"

/** What is measured beside the scenarios: crowds, held rows, one caller alone, idle and long runs. */
export const situationsSection = (shop: ShopFigures): string =>
  paragraphs(
    "## Situations",
    burstOf(shop),
    aloneOf(shop),
    headOfLineOf(shop),
    stampedeOf(shop),
    twoProcessesOf(shop),
    idleOf(shop),
    memoryOf(shop)
  )

const burstOf = ({ burst }: ShopFigures) => {
  if (burst === undefined) return undefined
  const { floor, naive, ...holdfast } = burst
  const rows = Object.entries({ Holdfast: holdfast, floor, naive }).flatMap(([name, figures]) =>
    figures === undefined
      ? []
      : [
          [
            name,
            figures.asked,
            figures.coupons,
            figures.issued,
            figures.inDatabase,
            figures.decisionsPerSecond,
            figures.p99Ms
          ]
        ]
  )
  return paragraphs(
    "### A burst for coupons",
    "Callers ask once each, 256 at a time, for half as many coupons.",
    table(["", "asked", "coupons", "issued", "in the database", "decisions a second", "p99 ms"], rows)
  )
}

const aloneOf = ({ alone }: ShopFigures) => {
  if (alone === undefined) return undefined
  const { floor, naive, ...holdfast } = alone
  const rows = Object.entries({ Holdfast: holdfast, floor, naive }).flatMap(([name, figures]) =>
    figures === undefined ? [] : [[name, figures.order, figures.payment, figures.coupon]]
  )
  return paragraphs(
    "### One caller alone",
    "The median time until an answer, in milliseconds, when nobody else calls.",
    table(["", "order", "payment", "coupon"], rows)
  )
}

const headOfLineOf = ({ headOfLine }: ShopFigures) =>
  headOfLine &&
  paragraphs(
    "### A row that is held",
    `Somebody outside of the shop holds the row of one product for ${headOfLine.heldSeconds} s; four callers wait for it,
and 60 others order other products.`,
    table(
      ["the others", "p50 ms", "p99 ms", "a second", "failures"],
      [["", headOfLine.p50Ms, headOfLine.p99Ms, headOfLine.perSecond, headOfLine.failures]]
    )
  )

const STAMPEDES = {
  product: "a new product",
  productInvalidated: "a product that has just changed",
  page: "a new page",
  pageInvalidated: "a page of which a product has just changed",
  unknownSku: "a product that does not exist"
} as const

const stampedeNames = Object.keys(STAMPEDES) as ReadonlyArray<keyof typeof STAMPEDES>

const stampedeOf = ({ stampede }: ShopFigures) => {
  if (stampede === undefined) return undefined
  return paragraphs(
    "### A stampede",
    "500 readers on two processes ask at once for what is not in the cache: the most selects that the database sees.",
    table(
      ["", "selects"],
      stampedeNames.map((name) => [STAMPEDES[name], stampede[name]])
    )
  )
}

const twoProcessesOf = ({ twoProcesses }: ShopFigures) => {
  if (twoProcesses === undefined) return undefined
  const { perSecond, reads, writes } = twoProcesses
  return paragraphs(
    "### Two processes",
    "The same 64 callers on one Holdfast process, and shared by two on the same stores.",
    table(
      ["", "one: a second", "two: a second", "ratio"],
      [
        ["orders", perSecond.writes.one, perSecond.writes.two, writes],
        ["pages of products", perSecond.reads.one, perSecond.reads.two, reads]
      ]
    )
  )
}

const idleOf = ({ idle }: ShopFigures) =>
  idle &&
  paragraphs(
    "### Idle",
    "What a Holdfast process does while nobody calls it.",
    table(
      ["", "% of a core", "statements a second", "Redis commands a second"],
      [
        ["no campaign", idle.corePercent, idle.sqlPerSecond, idle.redisPerSecond],
        [
          "100 open campaigns",
          idle.withCampaigns.corePercent,
          idle.withCampaigns.sqlPerSecond,
          idle.withCampaigns.redisPerSecond
        ]
      ]
    )
  )

const memoryOf = ({ memory }: ShopFigures) =>
  memory &&
  paragraphs(
    "### Memory",
    `The resident memory of the server under a load of everything, and its slope after the first 40 % of the time.`,
    table(
      ["minutes", "most MB", "at the end MB", "MB a minute", "answers"],
      [[String(memory.minutes), memory.rssMb, memory.lastMb, memory.slopeMbPerMinute, memory.answers]]
    )
  )
