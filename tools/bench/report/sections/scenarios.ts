import { type ScenarioName, scenarioNames } from "../../shop/comparison.ts"
import type { ShopFigures } from "../../shop/index.ts"
import { image, paragraphs, table, yesOrNo } from "../markdown.ts"
import { plotBars } from "../plot/bars.ts"
import { targets } from "../targets.ts"

/** What the scenarios are called in tables and plots. */
export const scenarioTitles: Readonly<Record<ScenarioName, string>> = {
  issued: "coupon: issued",
  soldOut: "coupon: sold out",
  alreadyHas: "coupon: has one already",
  order: "order",
  hotRow: "order, half for one product",
  payment: "payment",
  page: "page of products",
  product: "one product",
  search: "search",
  categories: "categories",
  campaign: "one campaign",
  topSellers: "top sellers",
  balance: "balance",
  noop: "refused input"
}

const SERIES = ["Holdfast", "floor", "naive"]

const measuredOf = (shop: ShopFigures) =>
  scenarioNames.flatMap((name) => {
    const figures = shop[name]
    return figures === undefined ? [] : [{ name, title: scenarioTitles[name], figures }]
  })

/** The scenarios under the same load: what they cost, and how fast they are. */
export const scenariosSection = (shop: ShopFigures): string =>
  paragraphs(
    "## The shop's scenarios",
    `64 callers ask all the time. The processor time is that of the server, the SQL server and Redis together, for each
request, in microseconds. The target is the most that Holdfast may take, see
[targets.ts](../tools/bench/report/targets.ts); a dash means that none is set.`,
    costTable(shop),
    image("scenarios-cpu", "Processor time for each request, by scenario and shop"),
    "Answers a second, and how long they took:",
    speedTable(shop),
    image("scenarios-throughput", "Requests a second, by scenario and shop")
  )

const costTable = (shop: ShopFigures): string =>
  table(
    ["", "Holdfast", "server", "SQL", "Redis", "floor", "naive", "Holdfast / floor", "target", "met"],
    measuredOf(shop).map(({ figures, name, title }) => {
      const { cpuUs, cpuUsOf, floor, naive, ratioToFloor } = figures
      const target = targets[name]
      const isMet = target === undefined || cpuUs === null ? undefined : cpuUs <= target
      const parts = [cpuUs, cpuUsOf.server, cpuUsOf.sql, cpuUsOf.redis]
      return [
        title,
        ...parts,
        floor?.cpuUs,
        naive?.cpuUs,
        ratioToFloor,
        target,
        isMet === undefined ? undefined : yesOrNo(isMet)
      ]
    })
  )

const speedTable = (shop: ShopFigures): string =>
  table(
    ["", "Holdfast: a second", "p50 ms", "p99 ms", "floor: a second", "p99 ms", "naive: a second", "p99 ms"],
    measuredOf(shop).map(({ figures: { floor, naive, p50Ms, p99Ms, perSecond }, title }) => [
      title,
      perSecond,
      p50Ms,
      p99Ms,
      floor?.perSecond,
      floor?.p99Ms,
      naive?.perSecond,
      naive?.p99Ms
    ])
  )

/** The plots of the section, by name. */
export const scenarioPlots = (shop: ShopFigures): Readonly<Record<string, string>> => {
  const groupsOf = (of: "cpuUs" | "perSecond") =>
    measuredOf(shop).map(({ figures, title }) => ({
      name: title,
      values: [figures[of], figures.floor?.[of], figures.naive?.[of]]
    }))
  return {
    "scenarios-cpu": plotBars({
      title: "Processor time for each request (µs)",
      series: SERIES,
      groups: groupsOf("cpuUs")
    }),
    "scenarios-throughput": plotBars({
      title: "Requests a second",
      series: SERIES,
      groups: groupsOf("perSecond")
    })
  }
}
