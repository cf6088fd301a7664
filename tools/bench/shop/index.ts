/** `npm run bench -- shop`: Holdfast, the least program that writes the same rows, and a naive shop, in turns. */
import { startServices } from "@holdfast/testkit"
import type { Reporting } from "../../src/progress.ts"
import { alone } from "./alone.ts"
import { faultsInBooks } from "./books.ts"
import { burst, sameUser } from "./burst.ts"
import { compare, type Compared, ratioOf, type ScenarioName, scenarioNames } from "./comparison.ts"
import { headOfLine } from "./head-of-line.ts"
import { idle, idleWithCampaigns } from "./idle.ts"
import { memory } from "./memory.ts"
import { openShops, type Shop } from "./shops.ts"
import type { Stage } from "./stage.ts"
import { stampede } from "./stampede.ts"
import { resultText } from "./text.ts"
import { twoProcesses } from "./two-processes.ts"

export interface ShopBenchOptions {
  readonly rounds: number
  /** How long one measurement of one shop takes. */
  readonly seconds: number
  /** What to measure; everything when it is empty. */
  readonly only: ReadonlyArray<string>
  readonly memoryMinutes: number
  readonly peers: boolean
  readonly json: boolean
}

const CUSTOMERS = 20_000
const FEWEST_CUSTOMERS = 2_000

/** Runs the benchmark and prints its figures. The exit code is 1 when Holdfast's books are wrong. */
export const run = async ({ json, ...options }: ShopBenchOptions): Promise<number> => {
  const result = await measureShop({ ...options, onProgress: (line) => console.error(line) })
  console.log(json ? JSON.stringify(result) : resultText(result))
  return result.booksRight ? 0 : 1
}

/** What is not compared under the same load. `idle` comes first, when there are no campaigns yet. */
const OTHERS = { sameUser, alone, headOfLine, burst, stampede, twoProcesses, memory }
type OtherName = keyof typeof OTHERS
type OtherFigures = { readonly [Name in OtherName]?: Awaited<ReturnType<(typeof OTHERS)[Name]>> }
const otherNames = Object.keys(OTHERS) as ReadonlyArray<OtherName>
const known: ReadonlyArray<string> = [
  ...scenarioNames,
  ...otherNames.filter((name) => name !== "sameUser"),
  "idle"
]

/** The figures of a scenario, and what follows from two measurements. */
interface ScenarioFigures extends Compared {
  readonly ratioToNoop?: number | null
  readonly ratio?: number | null
  readonly sameUser?: OtherFigures["sameUser"]
}

/** What was measured; names that were left out are absent. */
export type ShopFigures = Partial<Record<ScenarioName, ScenarioFigures>> &
  Omit<OtherFigures, "sameUser"> & {
    readonly idle?: Awaited<ReturnType<typeof idle>> & {
      readonly withCampaigns: Awaited<ReturnType<typeof idle>>
    }
    readonly booksRight: boolean
    readonly faultsInBooks: Readonly<Record<string, ReadonlyArray<string>>>
  }

/** What a figure is divided by has to be measured, too. */
const NEEDS: Readonly<Record<string, string>> = { soldOut: "noop", hotRow: "order", alreadyHas: "sameUser" }

const wantedOf = (only: ReadonlyArray<string>): ReadonlySet<string> => {
  const unknown = only.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Error(`nothing is called ${unknown.join(", ")}; known: ${known.join(", ")}`)
  const names = only.length === 0 ? known : only
  return new Set(names.flatMap((name) => [name, NEEDS[name] ?? name]))
}

/** Measures the shops on stores of their own. */
export const measureShop = async (
  options: Omit<ShopBenchOptions, "json"> & Reporting
): Promise<ShopFigures> => {
  const wanted = wantedOf(options.only)
  await using services = await startServices({ onProgress: options.onProgress })
  const names = options.peers ? (["holdfast", "floor", "naive"] as const) : (["holdfast"] as const)
  const customers = Math.round(Math.min(CUSTOMERS, Math.max(FEWEST_CUSTOMERS, options.seconds * 10_000)))
  const shops = await openShops(services, names, customers)
  try {
    const stage: Stage = { ...options, services, shops, holdfast: shops[0]! }
    return { ...(await measureAll(stage, wanted)), ...(await booksOf(shops)) }
  } finally {
    await Promise.all(shops.map((shop) => shop.stop()))
  }
}

const measureAll = async (stage: Stage, wanted: ReadonlySet<string>) => {
  const quiet = wanted.has("idle") ? await idle(stage) : undefined
  const names = scenarioNames.filter((name) => wanted.has(name))
  const compared = await compare(stage.shops, names, stage)
  const others: OtherFigures = {}
  for (const name of otherNames)
    if (wanted.has(name)) Object.assign(others, { [name]: await OTHERS[name](stage) })
  return {
    ...relatedOf(compared, others),
    ...(quiet === undefined ? {} : { idle: { ...quiet, withCampaigns: await idleWithCampaigns(stage) } })
  }
}

/** Adds what follows from two measurements. */
const relatedOf = (
  compared: Partial<Record<ScenarioName, Compared>>,
  { sameUser, ...others }: OtherFigures
) => {
  const { alreadyHas, hotRow, noop, order, soldOut } = compared
  return {
    ...compared,
    ...(soldOut && { soldOut: { ...soldOut, ratioToNoop: ratioOf(soldOut.cpuUs, noop?.cpuUs) } }),
    ...(alreadyHas && { alreadyHas: { ...alreadyHas, ...(sameUser && { sameUser }) } }),
    ...(hotRow && { hotRow: { ...hotRow, ratio: ratioOf(hotRow.perSecond, order?.perSecond) } }),
    ...others
  }
}

const booksOf = async (shops: ReadonlyArray<Shop>) => {
  const faults: Record<string, ReadonlyArray<string>> = {}
  for (const shop of shops) faults[shop.name] = await faultsInBooks(shop)
  return { booksRight: faults["holdfast"]?.length === 0, faultsInBooks: faults }
}
