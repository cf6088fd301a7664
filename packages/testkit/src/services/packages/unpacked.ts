import { existsSync, readdirSync, readFileSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { messageOf, SourceUnusable } from "../errors.ts"
import { releaseDirectory, temporaryDirectory } from "../native/directories.ts"
import { cacheDirectory } from "../settings.ts"
import { installedPackages, openApt, requireApt, systemHasLists, unpackAll, type Apt } from "./apt.ts"

/** A program of the distribution: the packages that hold it have names like these, the best first. */
export interface Wanted {
  readonly label: string
  readonly packages: ReadonlyArray<RegExp>
  /** Packages to take along in any case, named after the one that was found. */
  readonly companions: (found: string) => ReadonlyArray<string>
}

/**
 * A directory tree that holds the program and the libraries that this system lacks, downloaded and unpacked once.
 * Nothing is installed, nothing runs as root that did not before.
 */
export async function unpacked(wanted: Wanted, progress: (line: string) => void): Promise<string> {
  requireApt()
  const parent = cacheDirectory("packages")
  const root = join(parent, `${wanted.label}-${distribution()}-${process.arch}`)
  if (existsSync(root)) return root
  const work = await temporaryDirectory("unpack", parent)
  try {
    const tree = await fetchTree(wanted, work.path, progress)
    // Whoever unpacks first gives the tree; another one that did the same meanwhile takes that.
    await rename(tree, root).catch((error: unknown) => {
      if (!existsSync(root)) throw error
    })
  } finally {
    releaseDirectory(work)
  }
  return root
}

/** The system's lists first, which cost nothing; fresh ones when those are missing or too old to be served. */
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
  // What the system has already (the C library above all) fits it better than a second copy would.
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

/** `debian-12`, `ubuntu-24.04`: trees of one release do not run on another. */
function distribution(): string {
  const text = readFileSync("/etc/os-release", "utf8")
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1] ?? "unknown"
  return `${field("ID")}-${field("VERSION_ID")}`
}

const firstLines = (text: string) => text.split("\n").slice(0, 4).join(" ")

/** Where the libraries of a tree are, for the dynamic linker. */
export function libraryPath(root: string): string {
  const libraries = ["usr/lib", "lib"].flatMap((directory) => {
    const path = join(root, directory)
    if (!existsSync(path)) return []
    const multiarch = readdirSync(path).filter((name) => /-linux-/.test(name))
    return [...multiarch.map((name) => join(path, name)), path]
  })
  return libraries.join(":")
}
