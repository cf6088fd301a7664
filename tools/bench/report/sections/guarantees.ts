import type { GuaranteesResult } from "../../guarantees/index.ts"
import { image, paragraphs, table } from "../markdown.ts"
import { plotBars } from "../plot/bars.ts"

const TITLES: Readonly<Record<keyof GuaranteesResult["floor"], string>> = {
  everything: "floor with everything",
  lock: "without the lock",
  fence: "without the fence",
  answer: "without the stored answer",
  event: "without the event",
  ledger: "without the ledger",
  nothing: "without any of them"
}

const rowsOf = ({ floor, holdfast }: GuaranteesResult) => [
  ...(Object.keys(TITLES) as ReadonlyArray<keyof typeof TITLES>).map((name) => ({
    title: TITLES[name],
    figures: floor[name],
    whole: floor.everything
  })),
  ...(Object.keys(HOLDFAST_TITLES) as ReadonlyArray<keyof typeof HOLDFAST_TITLES>).flatMap((name) => {
    const figures = holdfast[name]
    return figures === undefined
      ? []
      : [{ title: HOLDFAST_TITLES[name], figures, whole: holdfast.everything }]
  })
]

const HOLDFAST_TITLES: Readonly<Record<keyof GuaranteesResult["holdfast"], string>> = {
  everything: "Holdfast",
  lock: "Holdfast without the lock",
  fence: "Holdfast without the fence",
  answer: "Holdfast, calls without a key"
}

/** What each guarantee of an order costs, by leaving it out. */
export const guaranteesSection = (result: GuaranteesResult): string =>
  paragraphs(
    "## Guarantees",
    `What an order costs without one of its guarantees, with ${result.callers} callers. The product has no switches for this,
so the floor was given them: it takes Holdfast's own lock and passes its fence, stores the answer for idempotency, writes
the event of the outbox and the ledger of the stock, each unless it is left out
([parts.ts](../tools/bench/shop/floor/parts.ts)). The floor pays for each with round trips of its own, and every order has
its own transaction; in Holdfast, the calls that wait share both.

Out of Holdfast itself, a module that its process loads first takes the lock of an order together with its fence, or the
fence alone ([without.ts](../tools/bench/guarantees/without.ts)); a call without an idempotency key stores no answer. The
books of this measurement are not audited, because they lack what was left out.`,
    table(
      ["", "µs", "saved µs", "a second", "p50 ms", "p99 ms", "failures"],
      rowsOf(result).map(({ figures, title, whole }) => [
        title,
        figures.cpuUs,
        figures === whole ? undefined : savedUs(whole.cpuUs, figures.cpuUs),
        figures.perSecond,
        figures.p50Ms,
        figures.p99Ms,
        figures.failures
      ])
    ),
    image("guarantees", "Processor time of an order without one of its guarantees")
  )

const savedUs = (whole: number | null, rest: number | null): number | undefined =>
  whole === null || rest === null ? undefined : whole - rest

/** The plot of the section, by its name. */
export const guaranteePlots = (result: GuaranteesResult): Readonly<Record<string, string>> => ({
  guarantees: plotBars({
    title: "Processor time of an order without one of its guarantees (µs)",
    series: ["µs"],
    groups: rowsOf(result).map(({ figures, title }) => ({ name: title, values: [figures.cpuUs] }))
  })
})
