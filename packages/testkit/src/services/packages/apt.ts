import { execFile } from "node:child_process"
import { accessSync, constants, readdirSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import { SourceUnusable } from "../errors.ts"

const run = promisify(execFile)
const OUTPUT_BYTES = 64 * 1024 ** 2
const QUERY_DEADLINE_MS = 60_000
const NETWORK_DEADLINE_MS = 600_000
const SYSTEM_LISTS = "/var/lib/apt/lists"

/** apt with separate state: it reads the system's configuration and keys, and writes below one directory only. */
export interface Apt {
  /** The names of packages that match the pattern, a POSIX regular expression. */
  search(pattern: string): Promise<ReadonlyArray<string>>
  /** The names of the packages and of all their dependencies. */
  closure(packages: ReadonlyArray<string>): Promise<ReadonlyArray<string>>
  /** Downloads exactly these packages into a directory, and verifies them. */
  download(packages: ReadonlyArray<string>, directory: string): Promise<void>
}

/** @throws SourceUnusable where apt is missing */
export function requireApt(): void {
  const path = (process.env["PATH"] ?? "").split(delimiter)
  const missing = ["apt-get", "apt-cache", "dpkg-deb", "dpkg-query"].filter(
    (name) => !path.some((directory) => isExecutable(join(directory, name)))
  )
  if (missing.length > 0)
    throw new SourceUnusable(`this is not Debian or Ubuntu (${missing.join(", ")} not found on PATH)`)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether the system's package lists are present; images of containers usually lack them. */
export const systemHasLists = () => {
  try {
    return readdirSync(SYSTEM_LISTS).some((name) => /_Packages/.test(name))
  } catch {
    return false
  }
}

/** Opens apt with the system's lists, which may be outdated, or with fresh ones, which cost seconds and megabytes. */
export async function openApt(state: string, lists: "system" | "fresh"): Promise<Apt> {
  const own = join(state, "lists")
  await mkdir(join(own, "partial"), { recursive: true })
  await mkdir(join(state, "cache", "archives", "partial"), { recursive: true })
  // With an empty status file nothing counts as installed, so a closure is complete.
  await writeFile(join(state, "status"), "")
  const options = Object.entries({
    "Dir::State::status": join(state, "status"),
    "Dir::State::lists": lists === "fresh" ? own : SYSTEM_LISTS,
    "Dir::Cache": join(state, "cache"),
    "Debug::NoLocking": lists === "fresh" ? "false" : "true",
    "APT::Install-Recommends": "false",
    "APT::Get::Assume-Yes": "true",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    // As root, apt drops its privileges to a user that cannot write below a home directory.
    ...(process.getuid?.() === 0 ? { "APT::Sandbox::User": "root" } : {})
  }).flatMap(([name, value]) => ["-o", `${name}=${value}`])
  const apt = async (program: string, args: ReadonlyArray<string>, deadlineMs: number, cwd = state) =>
    (
      await run(program, [...options, "-q", ...args], {
        cwd,
        env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
        timeout: deadlineMs,
        maxBuffer: OUTPUT_BYTES
      })
    ).stdout
  if (lists === "fresh") await apt("apt-get", ["update"], NETWORK_DEADLINE_MS)
  return {
    search: async (pattern) => {
      const found = await apt("apt-cache", ["search", "--names-only", pattern], QUERY_DEADLINE_MS)
      return found.split("\n").flatMap((line) => /^(\S+) - /.exec(line)?.[1] ?? [])
    },
    closure: async (packages) => {
      const args = ["install", "--print-uris", ...packages]
      return packageNames(await apt("apt-get", args, QUERY_DEADLINE_MS))
    },
    download: async (packages, directory) => {
      await apt("apt-get", ["download", ...packages], NETWORK_DEADLINE_MS, directory)
    }
  }
}

/** Lines of `--print-uris`: `'https://.../libc6_2.36-9_amd64.deb' libc6_2.36-9_amd64.deb 2759320 SHA256:...`. */
const packageNames = (uris: string) =>
  uris.split("\n").flatMap((line) => /^'[^']+' ([^_]+)_[^ ]*\.deb /.exec(line)?.[1] ?? [])

/** The names of the packages installed on this system. */
export async function installedPackages(): Promise<ReadonlySet<string>> {
  const { stdout } = await run("dpkg-query", ["-W", "-f", "${db:Status-Abbrev} ${Package}\\n"], {
    timeout: QUERY_DEADLINE_MS,
    maxBuffer: OUTPUT_BYTES
  })
  return new Set(stdout.split("\n").flatMap((line) => /^ii +(\S+)/.exec(line)?.[1] ?? []))
}

/** Unpacks all packages of a directory into a root, without running their scripts. */
export async function unpackAll(directory: string, root: string): Promise<void> {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".deb")))
    await run("dpkg-deb", ["-x", join(directory, name), root], { timeout: QUERY_DEADLINE_MS })
}
