import type { ProfileResult } from "../../profile/index.ts"
import type { Measurements } from "../measurements.ts"
import { paragraphs, table, textOf } from "../markdown.ts"

/** Smaller areas are left out. */
const LEAST_PERCENT = 1

const TITLES: Readonly<Record<keyof ProfileResult, string>> = {
  issued: "coupon issued",
  soldOut: "sold out",
  order: "order",
  payment: "payment",
  product: "product",
  balance: "balance"
}

/** Where the server's processor time goes, before the last round of work on it and now. */
export const profileSection = (profile: Measurements["profile"]): string | undefined => {
  if (profile === undefined) return undefined
  const { before, now } = profile
  const kinds = Object.keys(TITLES) as ReadonlyArray<keyof ProfileResult>
  const percent = (result: ProfileResult, kind: keyof ProfileResult, area: string) =>
    Math.round((result[kind].areas[area] ?? 0) * 100)
  const areas = [...new Set(kinds.flatMap((kind) => Object.keys(now[kind].areas)))]
    .filter((area) => kinds.some((kind) => percent(now, kind, area) > LEAST_PERCENT))
    .toSorted((a, b) => percent(now, "order", b) - percent(now, "order", a))
  return paragraphs(
    "## Profile",
    `Where the processor time of Holdfast's server goes while 64 callers ask, by V8's sampling profiler, which slows it down.
${beforeText(before)}\`npm run bench -- profile\` measures only this.`,
    table(
      ["% of the server's time: before → now", ...kinds.map((kind) => TITLES[kind])],
      [
        [
          "µs of the server for each request",
          ...kinds.map((kind) => changed(before?.result[kind].serverUs, now[kind].serverUs))
        ],
        ...areas.map((area) => [
          area,
          ...kinds.map((kind) =>
            changed(before && percent(before.result, kind, area), percent(now, kind, area))
          )
        ])
      ]
    )
  )
}

const beforeText = (before: NonNullable<Measurements["profile"]>["before"]): string =>
  before === undefined ? "" : `Before is commit ${before.commit}, measured on ${before.on}. `

const changed = (before: number | null | undefined, now: number | null): string =>
  before === undefined ? textOf(now) : `${textOf(before)} → ${textOf(now)}`
