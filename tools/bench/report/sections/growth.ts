import type { GrowthPoint, GrowthResult } from "../../growth/index.ts"
import { image, paragraphs, table } from "../markdown.ts"
import { plotCurves } from "../plot/curves.ts"

type Kind = "callers" | "lines" | "products" | "campaigns" | "orders"

/** What an order costs when something else grows. */
export const growthSection = (growth: GrowthResult): string =>
  paragraphs(
    "## Growth",
    `What an order costs in processor time (server, SQL server and Redis together), and how long it takes. Refused are answers
other than the expected one: a process that is late sheds requests ([limits](limits.md)). The books of both shops are
audited afterwards, with all orders in them: ${booksOf(growth)}.`,
    "### Callers",
    "Orders of one product, by as many callers at once. Holdfast's calls that wait share transactions.",
    growthTable("callers", growth.callers),
    image("growth-callers", "Processor time of an order by callers"),
    image("growth-callers-p50", "Median time of an order by callers"),
    "### Lines of an order",
    `Orders of several products by ${growth.callersOf.lines} callers. Holdfast writes all lines with one statement for each
table; the floor sends its statements line by line.`,
    growthTable("lines", growth.lines),
    image("growth-lines", "Processor time of an order by its lines"),
    "### Products",
    `Orders by ${growth.callersOf.products} callers of all products of a catalogue that grows, one product each.`,
    growthTable("products", growth.products),
    image("growth-products", "Processor time of an order by products"),
    "### Campaigns",
    `Coupons of as many open campaigns by ${growth.callersOf.campaigns} callers, from each campaign in turn. With one campaign,
the measurement ends when everybody has a coupon of it.`,
    growthTable("campaigns", growth.campaigns),
    image("growth-campaigns", "Processor time of a coupon by campaigns"),
    "### Orders in the table",
    `Orders of one product by ${growth.callersOf.orders} callers, while the table of orders begins with so many. They were
inserted by SQL, with their lines and their ledger; the measurement adds its own.`,
    growthTable("orders", growth.orders),
    image("growth-orders", "Processor time of an order by orders in the table"),
    "### Processes",
    "See [two processes](#two-processes) above."
  )

const booksOf = ({ faultsInBooks }: GrowthResult): string => {
  const faults = Object.values(faultsInBooks).flat()
  return faults.length === 0 ? "nothing is wrong with them" : `**${faults.join("; ")}**`
}

const growthTable = (kind: Kind, points: ReadonlyArray<GrowthPoint>): string =>
  table(
    [
      kind,
      "Holdfast: µs",
      "a second",
      "p50 ms",
      "p99 ms",
      "refused",
      "floor: µs",
      "a second",
      "p50 ms",
      "p99 ms"
    ],
    points.map(({ at, floor, holdfast }) => [
      at.toLocaleString("en"),
      holdfast.cpuUs,
      holdfast.perSecond,
      holdfast.p50Ms,
      holdfast.p99Ms,
      holdfast.failures,
      floor.cpuUs,
      floor.perSecond,
      floor.p50Ms,
      floor.p99Ms
    ])
  )

/** The plots of the section, by name. */
export const growthPlots = (growth: GrowthResult): Readonly<Record<string, string>> => ({
  "growth-callers": plot("callers", growth.callers, "cpuUs"),
  "growth-callers-p50": plot("callers", growth.callers, "p50Ms"),
  "growth-lines": plot("lines", growth.lines, "cpuUs"),
  "growth-products": plot("products", growth.products, "cpuUs"),
  "growth-campaigns": plot("campaigns", growth.campaigns, "cpuUs"),
  "growth-orders": plot("orders", growth.orders, "cpuUs")
})

const X_NAMES: Readonly<Record<Kind, string>> = {
  callers: "callers at once",
  lines: "lines of an order",
  products: "products",
  campaigns: "open campaigns",
  orders: "orders in the table"
}
const Y_NAMES = { cpuUs: "processor time (µs)", p50Ms: "median time (ms)" }

const plot = (kind: Kind, points: ReadonlyArray<GrowthPoint>, figure: keyof typeof Y_NAMES): string => {
  const curveOf = (shop: "holdfast" | "floor") =>
    points.map((point) => ({ x: point.at, y: point[shop][figure] ?? 0 }))
  const yName = Y_NAMES[figure]
  return plotCurves({
    title: `${yName.charAt(0).toUpperCase()}${yName.slice(1)} by ${X_NAMES[kind]}`,
    xName: X_NAMES[kind],
    yName,
    series: [
      { name: "Holdfast", points: curveOf("holdfast") },
      { name: "floor", points: curveOf("floor") }
    ]
  })
}
