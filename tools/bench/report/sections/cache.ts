import type { Measurements } from "../measurements.ts"
import { paragraphs, table } from "../markdown.ts"

/** Reads of a server without its cache and of one with it. */
export const cacheSection = ({ readers, readsPerSecond, turns }: Measurements["cache"]): string =>
  paragraphs(
    "## Before and after the cache",
    `Reads a second of ${readers} callers, on a server without the cache and on one with it, in turns: medians of ${turns} turns.
The servers share the process of the callers, so these rates are lower than those above
([what is cached](caching.md)).`,
    table(
      ["", "without", "with", "ratio"],
      Object.entries(readsPerSecond).map(([name, { ratio, with: cached, without }]) => [
        name,
        without,
        cached,
        ratio
      ])
    )
  )
