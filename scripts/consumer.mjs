// Sets up the project of a user: outside of this workspace, with the packed tarballs installed.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { node24, NPX, PNPM, root } from "./bootstrap.mjs"
import { capture, StepFailed } from "./steps.mjs"

/** Runs a program and returns its output. The error of a failed program contains the output. */
export const runProgram = (command, args, options) =>
  capture(command, args, options).catch((error) => {
    throw error instanceof StepFailed
      ? new Error(`${error.message}\n${error.output}`, { cause: error })
      : error
  })

/** Compiles and packs packages as they would be published. Returns the tarballs by package name. */
export async function packPackages(names, destination) {
  const projects = names.map((name) => join("packages", name, "tsconfig.build.json"))
  await runProgram(node24(), ["node_modules/typescript/bin/tsc", "-b", ...projects])
  mkdirSync(destination, { recursive: true })
  for (const name of names)
    await runProgram(NPX, ["--yes", PNPM, "pack", "--pack-destination", destination], {
      cwd: join(root, "packages", name)
    })
  const files = readdirSync(destination)
  return Object.fromEntries(
    names.map((name) => {
      const file = files.find((candidate) => candidate.startsWith(`holdfast-${name}-`))
      return [`@holdfast/${name}`, `file:${join(destination, file)}`]
    })
  )
}

/** The programs of a page, joined to one. */
export const programOf = (page) =>
  [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)]
    .map(([, code]) => code)
    .join("\n")

/** Copies an example out of the workspace. Its dependencies, and those added, come from the tarballs and the registry. */
export function copyExample(name, tarballs, added = {}) {
  const directory = mkdtempSync(join(tmpdir(), `holdfast-${name}-`))
  cpSync(join(root, "examples", name), directory, {
    recursive: true,
    filter: (source) => !/[\\/](node_modules|dist)$/.test(source)
  })
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  manifest.dependencies = { ...manifest.dependencies, ...added }
  return project(directory, manifest, tarballs)
}

/** A project with one TypeScript program. Its dependencies come from the tarballs and the registry. */
export function emptyProject(source, dependencies, tarballs) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-empty-"))
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    target: "ES2024",
    lib: ["ES2024", "ESNext.Disposable", "DOM"],
    module: "NodeNext",
    outDir: "dist",
    types: ["node"]
  }
  writeFileSync(join(directory, "main.ts"), source)
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }))
  const devDependencies = { "@types/node": "catalog:", typescript: "catalog:" }
  return project(directory, { private: true, type: "module", dependencies, devDependencies }, tarballs)
}

/** An empty project with these dependencies; `catalog:` is the version in the catalog. */
export const packedProject = (dependencies, tarballs) =>
  project(mkdtempSync(join(tmpdir(), "holdfast-platforms-")), { private: true, dependencies }, tarballs)

/** Writes the files that npm and pnpm read. */
const project = (directory, manifest, tarballs) => {
  for (const kind of ["dependencies", "devDependencies"]) manifest[kind] = published(manifest[kind], tarballs)
  // The tarballs depend on each other by versions that are not published yet.
  manifest.overrides = tarballs
  writeFileSync(join(directory, "package.json"), JSON.stringify(manifest, null, 2))
  const workspace = {
    overrides: tarballs,
    allowBuilds: { "cpu-features": false, protobufjs: false, ssh2: false }
  }
  writeFileSync(join(directory, "pnpm-workspace.yaml"), JSON.stringify(workspace))
  return {
    directory,
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Replaces `workspace:` by the tarball and `catalog:` by the version in the catalog. */
const published = (dependencies = {}, tarballs) =>
  Object.fromEntries(
    Object.entries(dependencies).map(([name, version]) => [
      name,
      version.startsWith("workspace:")
        ? tarballs[name]
        : version === "catalog:"
          ? catalogVersion(name)
          : version
    ])
  )

/** The version of a dependency in the catalog of the workspace. */
export const catalogVersion = (name) => {
  const line = new RegExp(String.raw`^  "?${name}"?: (\S+)$`, "m")
  return line.exec(readFileSync(join(root, "pnpm-workspace.yaml"), "utf8"))?.[1]
}

const installers = {
  npm: ["npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"]],
  pnpm: [NPX, ["--yes", PNPM, "install", "--no-frozen-lockfile", "--reporter=append-only"]]
}

/** Installs with npm or pnpm, as a user would. */
export const install = (manager, directory) => {
  const [command, args] = installers[manager]
  return runProgram(command, args, { cwd: directory })
}
