/** `npm run bench -- report`: measures everything and writes `docs/performance.md`, its plots and the README's figures. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Measurements, measureAll } from "./measurements.ts"
import { pageOf, plotsOf } from "./page.ts"
import { withFigures } from "./readme.ts"

export interface ReportOptions {
  /** A file with measurements; without one, they are taken. */
  readonly from: string | undefined
  /** Measures for less time. */
  readonly quick: boolean
  /** The largest number of orders in the table. */
  readonly mostOrders: number
  /** Installs and measures shops of another make, too. */
  readonly otherShops: boolean
  /** How long the memory is watched, unless the measurement is quick. */
  readonly memoryMinutes: number
}

const repository = fileURLToPath(new URL("../../..", import.meta.url))

const PLOTS = "docs/performance"

/** Writes the report into the repository. The exit code is 1 when Holdfast's books are wrong. */
export const run = async ({ from, quick, ...options }: ReportOptions): Promise<number> => {
  const measurements =
    from === undefined
      ? await measureAll({ ...options, isQuick: quick, onProgress: (line) => console.error(line) })
      : (JSON.parse(readFileSync(from, "utf8")) as Measurements)
  const readme = readFileSync(join(repository, "README.md"), "utf8")
  mkdirSync(join(repository, PLOTS), { recursive: true })
  for (const [file, text] of Object.entries(filesOf(measurements, readme)))
    writeFileSync(join(repository, file), text)
  return measurements.shop.booksRight ? 0 : 1
}

/**
 * The files of the report by their paths in the repository.
 * @param readme the README as it is, with marks around the figures
 */
export const filesOf = (measurements: Measurements, readme: string): Readonly<Record<string, string>> => {
  const plots = Object.entries(plotsOf(measurements)).map(([name, svg]) => [`${PLOTS}/${name}.svg`, svg])
  return {
    [`${PLOTS}/measurements.json`]: `${JSON.stringify(measurements, null, 2)}\n`,
    "docs/performance.md": pageOf(measurements),
    "README.md": withFigures(readme, measurements),
    ...(Object.fromEntries(plots) as Record<string, string>)
  }
}
