// npm run soak -- NAME [--rounds N] [--seed N] [--json]: runs a soak of one of the packages and prints what it found.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"

/** What a soak exports: it throws when something was off. */
interface Soak {
  readonly run: (options: Readonly<Record<string, unknown>>) => Promise<unknown>
}

const packages = fileURLToPath(new URL("../../packages/", import.meta.url))

/** Every `bench/NAME/soak.ts` of the packages, by name. */
const soaks = (): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(packages)
      .map((name) => join(packages, name, "bench"))
      .filter((directory) => existsSync(directory))
      .flatMap((directory) =>
        readdirSync(directory).map((name) => [name, join(directory, name, "soak.ts")] as const)
      )
      .filter(([, file]) => existsSync(file))
  )

const main = async (): Promise<number> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string" }, seed: { type: "string" }, json: { type: "boolean" } }
  })
  const known = soaks()
  const file = known.get(positionals[0] ?? "")
  if (file === undefined) {
    console.error(
      `npm run soak -- NAME [--rounds N] [--seed N] [--json]; soaks: ${[...known.keys()].join(", ")}`
    )
    return 2
  }
  const { run } = (await import(pathToFileURL(file).href)) as Soak
  const report = await run({
    ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
    ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
    onProgress: (line: string) => console.error(line)
  })
  if (values.json === true) console.log(JSON.stringify(report))
  else console.dir(report, { depth: null })
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
