import type { StrategiesResult, StrategyName } from "../../strategies/index.ts"
import { image, paragraphs, table, yesOrNo } from "../markdown.ts"
import { plotBars } from "../plot/bars.ts"

const TITLES: Readonly<Record<StrategyName, string>> = {
  none: "nothing: read, then write",
  spinLock: "spin lock (redis-semaphore)",
  publishedLock: "pub/sub lock without a queue",
  rowLock: "row lock only",
  optimisticVersion: "optimistic version",
  queueLock: "Holdfast's queue lock",
  group: "Holdfast's principle of groups",
  orders: "Holdfast's orders.create over HTTP"
}

const entries = ({ strategies }: StrategiesResult) =>
  (Object.keys(TITLES) as ReadonlyArray<StrategyName>).map((name) => ({
    title: TITLES[name],
    ...strategies[name]
  }))

/** The ways to sell one product exactly, on equal footing. */
export const strategiesSection = (result: StrategiesResult): string =>
  paragraphs(
    "## Strategies",
    `${result.callers} callers of one process take units of the same product, one after the other, and each sale writes a row.
The transactions are the same for all but the last, on 16 connections at READ COMMITTED; only what excludes the others
differs ([strategies.ts](../tools/bench/strategies/strategies.ts)). The group is the principle in a few statements, without
HTTP. The last is the whole product, so its figures include HTTP, authentication, idempotency, ledger and event.

In the end, all callers want one of ${result.scarce} units at once: exactly that many must win. A lost update is a sale that
the stock does not show. Who gives up (after 10 s for a lock, 50 attempts for a version) is refused.`,
    table(
      [
        "",
        "sold a second",
        "p50 ms",
        "p99 ms",
        "refused",
        `winners of ${result.scarce}`,
        "lost updates",
        "exact"
      ],
      entries(result).map(({ isExact, lostUpdates, p50Ms, p99Ms, perSecond, refused, title, winners }) => [
        title,
        perSecond,
        p50Ms,
        p99Ms,
        refused,
        [...new Set(winners)].join(", "),
        lostUpdates,
        yesOrNo(isExact)
      ])
    ),
    image("strategies-throughput", "Units sold a second, by strategy"),
    image("strategies-p99", "99th percentile of the time until a unit is sold, by strategy")
  )

/** The plots of the section, by name. */
export const strategyPlots = (result: StrategiesResult): Readonly<Record<string, string>> => {
  const plot = (title: string, of: "perSecond" | "p99Ms") =>
    plotBars({
      title,
      series: [title],
      groups: entries(result).map((figures) => ({ name: figures.title, values: [figures[of]] }))
    })
  return {
    "strategies-throughput": plot("Units of one product sold a second", "perSecond"),
    "strategies-p99": plot("99th percentile until a unit is sold (ms)", "p99Ms")
  }
}
