// The public types of each package, as text under version control: a change of them is a change of `api/`.
// `npm run api` writes the reports anew; `npm run check` fails when they differ.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { pathToFileURL } from "node:url"
import { parseSync } from "oxc-parser"
import { node24, root } from "./bootstrap.mjs"
import { capture } from "./steps.mjs"

export const PACKAGES = ["domain", "locks", "server", "client-sdk", "testkit"]

/** Compares the reports with the compiled declarations. Returns the number of reports and those that differ. */
export function checkApiReports(directory = root) {
  const outdated = PACKAGES.filter((name) => {
    const file = reportFile(directory, name)
    return !existsSync(file) || readFileSync(file, "utf8") !== apiReport(join(directory, "packages", name))
  })
  return {
    count: PACKAGES.length,
    violations: outdated.map((name) => `api/${name}.md is not what the package exports: run npm run api`)
  }
}

const reportFile = (directory, name) => join(directory, "api", `${name}.md`)

/**
 * The report of one compiled package: the declarations that its public entries reach, without comments. It has more than
 * the names that the entries export, because their types are made of the rest.
 */
export function apiReport(directory) {
  const { name, publishConfig } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  const entries = Object.entries(publishConfig.exports).filter(([, target]) => target.types !== undefined)
  const files = reachable(entries.map(([, { types }]) => join(directory, types)))
  const paths = new Map(
    files.map((file) => [file, relative(join(directory, "dist"), file).replaceAll("\\", "/")])
  )
  return [
    `# The public types of ${name}`,
    "",
    "Written by `npm run api`, from the declarations that these entries reach:",
    "",
    ...entries.map(
      ([entry, { types }]) => `- \`${join(name, entry)}\`: ${paths.get(join(directory, types))}`
    ),
    ...[...paths].flatMap(([file, path]) => ["", `## ${path}`, "", "```ts", declarationsOf(file), "```"]),
    ""
  ].join("\n")
}

/** The declaration files that these import, directly or not, and these themselves; sorted. */
function reachable(entries) {
  const seen = new Set(entries)
  for (const file of seen)
    for (const [, specifier] of readFileSync(file, "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g))
      seen.add(
        join(dirname(file), specifier)
          .replace(/\.(?:js|ts)$/, ".d.ts")
          .replace(/\.d\.d\.ts$/, ".d.ts")
      )
  return [...seen].toSorted((a, b) => (a < b ? -1 : 1))
}

const declarationsOf = (file) => {
  const text = readFileSync(file, "utf8")
  const { comments } = parseSync(file, text)
  const code = comments.reduceRight((rest, { end, start }) => rest.slice(0, start) + rest.slice(end), text)
  return code
    .split("\n")
    .filter((line) => line.trim() !== "")
    .join("\n")
}

/** Writes all reports. */
async function writeReports() {
  await capture(node24(), ["node_modules/typescript/bin/tsc", "-b"])
  mkdirSync(join(root, "api"), { recursive: true })
  for (const name of PACKAGES) writeFileSync(reportFile(root, name), apiReport(join(root, "packages", name)))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await writeReports()
