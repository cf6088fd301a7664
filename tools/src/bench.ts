// npm run bench -- NAME: runs a benchmark and prints its figures.
import { existsSync, readdirSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** What a benchmark exports. Options are plain values by name; the result is a tree of figures. */
interface Benchmark {
  readonly run?: (options: Readonly<Record<string, unknown>>) => Promise<unknown>
}

const root = fileURLToPath(new URL("../../", import.meta.url))

/** Every benchmark by name: a folder with an `index.ts`, or a file. Those of several packages are among the tools. */
const benchmarks = (): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(join(root, "packages"))
      .map((name) => join(root, "packages", name, "bench"))
      .concat(join(root, "tools", "bench"))
      .filter((directory) => existsSync(directory))
      .flatMap((directory) =>
        readdirSync(directory, { withFileTypes: true }).flatMap((entry): ReadonlyArray<[string, string]> => {
          const index = join(directory, entry.name, "index.ts")
          if (entry.isDirectory()) return existsSync(index) ? [[entry.name, index]] : []
          return entry.name.endsWith(".ts") && !entry.name.includes(".test.")
            ? [[basename(entry.name, ".ts"), join(directory, entry.name)]]
            : []
        })
      )
  )

/** `--turn-ms 500 --quick` as `{ turnMs: 500, quick: true }`. */
const optionsOf = (args: ReadonlyArray<string>): Record<string, string | number | boolean> => {
  const options: Record<string, string | number | boolean> = {}
  for (const [index, arg] of args.entries()) {
    if (!arg.startsWith("--")) continue
    const name = arg.slice(2).replaceAll(/-([a-z])/g, (_dash, letter: string) => letter.toUpperCase())
    const value = args[index + 1]
    if (value === undefined || value.startsWith("--")) options[name] = true
    else options[name] = value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value
  }
  return options
}

const main = async (): Promise<number> => {
  const [name, ...args] = process.argv.slice(2)
  const known = benchmarks()
  const file = known.get(name ?? "")
  if (file === undefined) {
    const names = [...known.keys()].toSorted((a, b) => a.localeCompare(b)).join(", ")
    console.error(`npm run bench -- NAME [--json]; benchmarks: ${names}`)
    return name === undefined ? 0 : 2
  }
  // A benchmark that is a program of its own reads the command line.
  process.argv = [process.argv[0] ?? "node", file, ...args]
  const { run } = (await import(pathToFileURL(file).href)) as Benchmark
  if (run === undefined) return 0
  const { json, ...options } = optionsOf(args)
  const result = await run({ ...options, onProgress: (line: string) => console.error(line) })
  if (json === true) console.log(JSON.stringify(result))
  else console.dir(result, { depth: null })
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  process.exitCode = 1
}
