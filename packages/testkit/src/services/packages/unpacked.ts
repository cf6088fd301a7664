import { existsSync, readdirSync, readFileSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { messageOf } from "../../internal/message-of.ts"
import { SourceUnusable } from "../errors.ts"
import { releaseDirectory, temporaryDirectory } from "../native/directories.ts"
import { cacheDirectory } from "../settings.ts"
import { installedPackages, openApt, requireApt, systemHasLists, unpackAll, type Apt } from "./apt.ts"

/** A program of the distribution, with patterns for the names of its packages, the best first. */
export interface Wanted {
  readonly label: string
  readonly packages: ReadonlyArray<RegExp>
  /** Packages to add to the one that was found. */
  readonly companions: (found: string) => ReadonlyArray<string>
}

/**
 * A directory tree with the program and the libraries that this system lacks, downloaded and unpacked once. Nothing is
 * installed, and nothing needs root.
 */
export async function unpacked(wanted: Wanted, progress: (line: string) => void): Promise<string> {
  requireApt()
  const parent = cacheDirectory("packages")
  const root = join(parent, `${wanted.label}-${distribution()}-${process.arch}`)
  if (existsSync(root)) return root
  const work = await temporaryDirectory("unpack", parent)
  try {
    const tree = await fetchTree(wanted, work.path, progress)
    // Another process may have unpacked the same tree first; then that one is used.
    await rename(tree, root).catch((error: unknown) => {
      if (!existsSync(root)) throw error
    })
  } finally {
    releaseDirectory(work)
  }
  return root
}

/** Tries the system's lists first, which cost nothing, then fresh ones in case those are missing or outdated. */
async function fetchTree(wanted: Wanted, work: string, progress: (line: string) => void): Promise<string> {
  const reasons: Array<string> = []
  for (const lists of systemHasLists() ? (["system", "fresh"] as const) : (["fresh"] as const)) {
    const attempt = join(work, lists)
    const archives = join(attempt, "archives")
    await mkdir(archives, { recursive: true })
    try {
      progress(`${wanted.label}: asking apt for the packages (${lists} lists)`)
      const apt = await openApt(attempt, lists)
      const packages = await needed(apt, wanted)
      progress(`${wanted.label}: downloading ${packages.length} packages`)
      await apt.download(packages, archives)
      const tree = join(attempt, "root")
      await mkdir(tree)
      await unpackAll(archives, tree)
      return tree
    } catch (error) {
      reasons.push(`with ${lists} package lists: ${firstLines(messageOf(error))}`)
      await rm(attempt, { recursive: true, force: true })
    }
  }
  throw new SourceUnusable(reasons.join("; "))
}

async function needed(apt: Apt, wanted: Wanted): Promise<ReadonlyArray<string>> {
  const found = await firstPackage(apt, wanted)
  const ours = [found, ...wanted.companions(found)]
  const closure = await apt.closure(ours)
  const installed = await installedPackages()
  // Libraries that the system already has, above all the C library, fit it better than a second copy.
  return closure.filter((name) => !installed.has(name) || isServerPackage(name))
}

const isServerPackage = (name: string) => /^(mariadb|mysql|redis|valkey)/.test(name)

async function firstPackage(apt: Apt, { label, packages }: Wanted): Promise<string> {
  for (const pattern of packages) {
    const names = await apt.search(pattern.source)
    const newest = names.toSorted().at(-1)
    if (newest !== undefined) return newest
  }
  throw new SourceUnusable(`the distribution has no package of ${label}`)
}

/** The release, such as `debian-12` or `ubuntu-24.04`: a tree of one release does not run on another. */
function distribution(): string {
  const text = readFileSync("/etc/os-release", "utf8")
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1] ?? "unknown"
  return `${field("ID")}-${field("VERSION_ID")}`
}

const firstLines = (text: string) => text.split("\n").slice(0, 4).join(" ")

/** The library directories of a tree, for the dynamic linker. */
export function libraryPath(root: string): string {
  const libraries = ["usr/lib", "lib"].flatMap((directory) => {
    const path = join(root, directory)
    if (!existsSync(path)) return []
    const multiarch = readdirSync(path).filter((name) => /-linux-/.test(name))
    return [...multiarch.map((name) => join(path, name)), path]
  })
  return libraries.join(":")
}
