// Publishes the packages: `npm run release`. With `--dry-run` it does everything but that.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { PACKAGES } from "./api-report.mjs"
import { root } from "./bootstrap.mjs"
import { capture, runSteps, StepFailed } from "./steps.mjs"

const packed = join(root, ".tsbuild", "packed")
const unpacked = join(root, ".tsbuild", "unpacked")

const manifestOf = (directory) => JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))

/** What is wrong with the manifests and changelogs of the packages in a checkout. */
export function manifestFaults(directory) {
  const { repository } = manifestOf(directory)
  const packages = PACKAGES.map((name) => {
    const folder = join(directory, "packages", name)
    return {
      name,
      manifest: manifestOf(folder),
      changelog: readFileSync(join(folder, "CHANGELOG.md"), "utf8")
    }
  })
  const version = packages[0].manifest.version
  return packages.flatMap(({ changelog, manifest, name }) =>
    [
      [manifest.version === version, `has version ${manifest.version}, and ${PACKAGES[0]} has ${version}`],
      [
        changelog.includes(`\n## ${manifest.version}\n`),
        `has no section ${manifest.version} in its changelog`
      ],
      [manifest.license === "MIT", "has no licence"],
      [manifest.keywords?.length > 2, "has no keywords"],
      [manifest.repository?.url === repository.url, "names another repository than the root"],
      [manifest.repository?.directory === `packages/${name}`, "names another folder of the repository"],
      [
        ["homepage", "bugs"].every((field) => manifest[field]?.startsWith("https://")),
        "has no homepage or bugs"
      ]
    ].flatMap(([isRight, fault]) => (isRight ? [] : [`${name} ${fault}`]))
  )
}

/** Changesets that no version has taken in yet. */
const pendingChangesets = (directory) =>
  readdirSync(join(directory, ".changeset"))
    .filter((file) => file.endsWith(".md") && file !== "README.md")
    .map((file) => `.changeset/${file} is in no version yet: run npm run changeset -- version`)

/** What is missing in an unpacked tarball: documents, or a source that a source map refers to. */
export function tarballFaults(directory) {
  const documents = ["README.md", "CHANGELOG.md", "LICENSE"]
    .filter((file) => !existsSync(join(directory, file)))
    .map((file) => `${file} is missing`)
  const maps = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".map")
  )
  const lost = maps.flatMap((map) =>
    JSON.parse(readFileSync(join(directory, map), "utf8"))
      .sources.filter((source) => !existsSync(join(directory, map, "..", source)))
      .map((source) => `${map} refers to ${source}, which is missing`)
  )
  const workspace = /"workspace:/.test(readFileSync(join(directory, "package.json"), "utf8"))
  return [
    ...documents,
    ...lost,
    ...(maps.length === 0 ? ["there are no source maps"] : []),
    ...(workspace ? ["a dependency is on the workspace"] : [])
  ]
}

const failOn = (faults) => {
  if (faults.length > 0) throw new StepFailed(`${faults.length} faults`, faults.join("\n"))
}

const tarballs = () =>
  PACKAGES.map((name) => readdirSync(packed).find((file) => file.startsWith(`holdfast-${name}-`)))

const unpack = async (tarball) => {
  const directory = join(unpacked, tarball)
  mkdirSync(directory, { recursive: true })
  await capture("tar", ["-xzf", join(packed, tarball), "-C", directory, "--strip-components=1"])
  return directory
}

const contents = (tarball) => ({
  name: `contents of ${tarball}`,
  work: async () => failOn(tarballFaults(await unpack(tarball)))
})

/** Only a workflow can sign where a package comes from. */
const provenance = process.env.GITHUB_ACTIONS === "true" ? ["--provenance"] : []

const publish = (tarball, isDryRun) => ({
  name: `${isDryRun ? "would publish" : "publish"} ${tarball}`,
  async work() {
    const { name, version } = manifestOf(join(unpacked, tarball))
    // A release that was interrupted is finished by repeating it.
    if (!isDryRun && (await isPublished(name, version))) return
    const flags = isDryRun ? ["--dry-run"] : provenance
    await capture("npm", ["publish", join(packed, tarball), "--access", "public", ...flags])
  }
})

const isPublished = (name, version) =>
  capture("npm", ["view", `${name}@${version}`, "version"]).then(
    (printed) => printed.trim() === version,
    () => false
  )

async function release(isDryRun) {
  const faults = [...manifestFaults(root), ...(isDryRun ? [] : pendingChangesets(root))]
  const manifests = { name: "manifests and changelogs", work: async () => failOn(faults) }
  if (!(await runSteps("release", [manifests]))) return false
  await import("./build.mjs")
  if (process.exitCode !== 0) return false
  rmSync(unpacked, { recursive: true, force: true })
  // One after the other: a package is published after those that it depends on.
  return (
    (await runSteps("tarballs", tarballs().map(contents))) &&
    (await runSteps(
      isDryRun ? "dry run" : "publish",
      tarballs().map((tarball) => publish(tarball, isDryRun)),
      1
    ))
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  process.exitCode = (await release(process.argv.includes("--dry-run"))) ? 0 : 1
