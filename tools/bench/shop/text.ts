import { textTable } from "../text-table.ts"
import type { Compared } from "./comparison.ts"
import type { Figures } from "./load.ts"

/** The figures as text for people: a table of what was compared, and a line for each other measurement. */
export const resultText = (result: Readonly<Record<string, unknown>>): string => {
  const compared = Object.entries(result).filter((entry): entry is [string, Compared] => isCompared(entry[1]))
  const others = Object.entries(result).filter(([, figures]) => !isCompared(figures))
  const details = compared.flatMap(([name, figures]) =>
    Object.entries(figures)
      .filter(([key, value]) => !SHOWN.has(key) && value !== undefined)
      .map(([key, value]): [string, unknown] => [`${name}.${key}`, value])
  )
  return [
    ...(compared.length === 0 ? [] : [comparison(compared)]),
    [...details, ...others].map(([name, figures]) => `${name}: ${lineOf(figures)}`).join("\n")
  ].join("\n\n")
}

const SHOPS = ["holdfast", "floor", "naive"] as const
/** What the table shows of a comparison. */
const SHOWN: ReadonlySet<string> = new Set<string>(
  ["cpuUs", "cpuUsOf", "perSecond", "p50Ms", "p99Ms", "failures", "ratioToFloor"].concat(SHOPS)
)

const isCompared = (figures: unknown): figures is Compared =>
  typeof figures === "object" && figures !== null && "cpuUs" in figures

const comparison = (compared: ReadonlyArray<readonly [string, Compared]>): string =>
  textTable([
    [
      "",
      "shop",
      "cpu us",
      "server",
      "sql",
      "redis",
      "a second",
      "p50 ms",
      "p99 ms",
      "failures",
      "cpu to floor"
    ],
    ...compared.flatMap(([name, figures]) =>
      SHOPS.flatMap((shop) => {
        const one = shop === "holdfast" ? figures : figures[shop]
        if (one === undefined) return []
        const ratio = shop === "holdfast" ? String(figures.ratioToFloor ?? "") : ""
        return [[shop === "holdfast" ? name : "", shop, ...cellsOf(one), ratio]]
      })
    )
  ])

const cellsOf = ({ cpuUs, cpuUsOf, failures, p50Ms, p99Ms, perSecond }: Figures) => [
  ...[cpuUs, cpuUsOf.server, cpuUsOf.sql, cpuUsOf.redis].map((us) => us ?? "unknown"),
  perSecond,
  p50Ms,
  p99Ms,
  failures
]

const lineOf = (figures: unknown): string => {
  if (Array.isArray(figures)) return figures.length === 0 ? "none" : figures.map(lineOf).join("; ")
  if (typeof figures !== "object" || figures === null) return String(figures)
  return Object.entries(figures)
    .map(([name, value]) =>
      typeof value === "object" && value !== null ? `${name} (${lineOf(value)})` : `${name} ${String(value)}`
    )
    .join(", ")
}
