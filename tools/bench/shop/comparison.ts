import { median } from "../statistics.ts"
import { type Figures, measure, rounded, type Turn } from "./load.ts"
import type { Shop, ShopName } from "./shops.ts"
import * as turns from "./turns.ts"

/** What is answered often needs less time to be measured. */
const READ = 0.375
const REFUSAL = 0.5

/** What is measured of every shop, for which share of the time. */
const SCENARIOS = {
  issued: { turn: turns.issued, share: 1 },
  soldOut: { turn: turns.soldOut, share: REFUSAL },
  alreadyHas: { turn: turns.alreadyHas, share: REFUSAL },
  order: { turn: turns.order, share: 1 },
  hotRow: { turn: turns.hotRow, share: 1 },
  payment: { turn: turns.payment, share: 1 },
  page: { turn: turns.page, share: READ },
  product: { turn: turns.product, share: READ },
  search: { turn: turns.search, share: READ },
  categories: { turn: turns.categories, share: READ },
  campaign: { turn: turns.campaign, share: READ },
  topSellers: { turn: turns.topSellers, share: READ },
  balance: { turn: turns.balance, share: READ },
  noop: { turn: turns.noop, share: REFUSAL }
} satisfies Readonly<
  Record<string, { readonly turn: (shop: Shop, seconds: number) => Promise<Turn>; readonly share: number }>
>

export type ScenarioName = keyof typeof SCENARIOS
export const scenarioNames = Object.keys(SCENARIOS) as ReadonlyArray<ScenarioName>

/** Only Holdfast has a call that does nothing. The naive shop shows an order of magnitude, so one round is enough. */
const takesPart = (shop: Shop, name: ScenarioName, round: number) =>
  shop.name === "holdfast" || (name !== "noop" && (shop.name === "floor" || round === 0))

/** The figures of Holdfast, and beside them those of the others. */
export interface Compared extends Figures {
  /** Holdfast's processor time for each request, divided by the floor's. */
  readonly ratioToFloor: number | null
  readonly floor?: Figures
  readonly naive?: Figures
}

interface Rounds {
  readonly rounds: number
  readonly seconds: number
  readonly onProgress: (line: string) => void
}

const CALLERS = 64
const WARM_UP = 0.25

/**
 * Measures the scenarios one after the other and in each the shops in turn, in another order each round. The figures are
 * the medians of the rounds. A first pass warms everything up, so that no scenario pays for the others.
 */
export const compare = async (
  shops: ReadonlyArray<Shop>,
  names: ReadonlyArray<ScenarioName>,
  { onProgress, rounds, seconds }: Rounds
): Promise<Partial<Record<ScenarioName, Compared>>> => {
  const measured = new Map(names.map((name) => [name, new Map<ShopName, Array<Figures>>()]))
  for (const name of names)
    for (const shop of shops) if (takesPart(shop, name, 0)) await once(shop, name, seconds * WARM_UP)
  for (let round = 0; round < rounds; round += 1)
    for (const [name, ofShops] of measured)
      for (const shop of rotated(shops, round)) {
        if (!takesPart(shop, name, round)) continue
        const figures = await once(shop, name, seconds)
        onProgress(`${name}, round ${round + 1}, ${shop.name}: ${figuresText(figures)}`)
        ofShops.set(shop.name, [...(ofShops.get(shop.name) ?? []), figures])
      }
  return Object.fromEntries([...measured].map(([name, ofShops]) => [name, comparedOf(ofShops)]))
}

const figuresText = ({ cpuUs, failures, p50Ms, p99Ms, perSecond }: Figures): string =>
  `${cpuUs} us, ${perSecond}/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms${failures === 0 ? "" : `, ${failures} FAILED`}`

const once = async (shop: Shop, name: ScenarioName, seconds: number): Promise<Figures> => {
  const { share, turn } = SCENARIOS[name]
  return measure(shop, await turn(shop, seconds * share), CALLERS, seconds * share)
}

/** Begins with another item each round. */
export const rotated = <A>(items: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const first = round % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}

/** The median of each figure; failures are added up. */
export const medians = (figures: ReadonlyArray<Figures>): Figures => {
  const middle = (of: (one: Figures) => number) => rounded(median(figures.map(of)))
  /** `null` when it is unknown in any round. */
  const middleOfKnown = (of: (one: Figures) => number | null) =>
    figures.some((one) => of(one) === null) ? null : middle((one) => of(one) ?? Number.NaN)
  return {
    cpuUs: middleOfKnown(({ cpuUs }) => cpuUs),
    cpuUsOf: {
      server: middleOfKnown(({ cpuUsOf }) => cpuUsOf.server),
      sql: middleOfKnown(({ cpuUsOf }) => cpuUsOf.sql),
      redis: middleOfKnown(({ cpuUsOf }) => cpuUsOf.redis)
    },
    perSecond: middle(({ perSecond }) => perSecond),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    failures: figures.reduce((sum, one) => sum + one.failures, 0)
  }
}

const comparedOf = (rounds: ReadonlyMap<ShopName, ReadonlyArray<Figures>>): Compared => {
  const { floor, holdfast, naive } = Object.fromEntries(
    [...rounds].map(([name, figures]) => [name, medians(figures)])
  ) as Partial<Record<ShopName, Figures>>
  return {
    ...holdfast!,
    ratioToFloor: ratioOf(holdfast?.cpuUs, floor?.cpuUs),
    ...(floor && { floor }),
    ...(naive && { naive })
  }
}

/** `null` when one of the two is not known. */
export const ratioOf = (a: number | null | undefined, b: number | null | undefined): number | null =>
  a == null || b == null || b === 0 ? null : rounded(a / b)
