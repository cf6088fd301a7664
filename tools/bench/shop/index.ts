/** `npm run bench -- shop`: Holdfast, the least program that writes the same rows, and a naive shop, in turns. */
import { startServices } from "@holdfast/testkit"
import { faultsInBooks } from "./books.ts"
import { compare, type Compared, ratioOf, type ScenarioName, scenarioNames } from "./comparison.ts"
import { openShops, type Shop } from "./shops.ts"
import { resultText } from "./text.ts"

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
  const result = await bench({ ...options, onProgress: (line) => console.error(line) })
  console.log(json ? JSON.stringify(result) : resultText(result))
  return result["booksRight"] === true ? 0 : 1
}

type Bench = Omit<ShopBenchOptions, "json"> & { readonly onProgress: (line: string) => void }

const bench = async (options: Bench): Promise<Readonly<Record<string, unknown>>> => {
  const wanted = wantedOf(options.only)
  await using services = await startServices({ onProgress: options.onProgress })
  const names = options.peers ? (["holdfast", "floor", "naive"] as const) : (["holdfast"] as const)
  const customers = Math.round(Math.min(CUSTOMERS, Math.max(FEWEST_CUSTOMERS, options.seconds * 10_000)))
  const shops = await openShops(services, names, customers)
  try {
    const compared: Partial<Record<ScenarioName, Compared>> = {}
    for (const name of scenarioNames)
      if (wanted.has(name)) compared[name] = await compare(shops, name, options)
    return { ...relatedOf(compared), ...(await booksOf(shops)) }
  } finally {
    await Promise.all(shops.map((shop) => shop.stop()))
  }
}

const wantedOf = (only: ReadonlyArray<string>): ReadonlySet<string> => {
  const unknown = only.filter((name) => !(scenarioNames as ReadonlyArray<string>).includes(name))
  if (unknown.length > 0)
    throw new Error(`nothing is called ${unknown.join(", ")}; known: ${scenarioNames.join(", ")}`)
  return new Set(only.length === 0 ? scenarioNames : only)
}

/** Adds what follows from two measurements. */
const relatedOf = ({ hotRow, ...compared }: Partial<Record<ScenarioName, Compared>>) => ({
  ...compared,
  ...(compared.soldOut === undefined
    ? {}
    : {
        soldOut: { ...compared.soldOut, ratioToNoop: ratioOf(compared.soldOut.cpuUs, compared.noop?.cpuUs) }
      }),
  ...(hotRow === undefined
    ? {}
    : { hotRow: { ratio: ratioOf(hotRow.perSecond, compared.order?.perSecond), ...hotRow } })
})

const booksOf = async (shops: ReadonlyArray<Shop>) => {
  const faults: Record<string, ReadonlyArray<string>> = {}
  for (const shop of shops) faults[shop.name] = await faultsInBooks(shop)
  return { booksRight: faults["holdfast"]?.length === 0, faultsInBooks: faults }
}
