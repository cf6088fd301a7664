import { execFile } from "node:child_process"
import { accessSync, constants, realpathSync } from "node:fs"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import type { RedisFlavour, SqlFlavour } from "../service.ts"

/** A server program on this machine, and what it needs to run. */
export interface Installation<Flavour extends string> {
  readonly flavour: Flavour
  readonly version: string
  readonly program: string
  /** The root directory of an unpacked program; empty for an installed one. */
  readonly root: string
  /** The process environment. Sets LD_LIBRARY_PATH for unpacked programs. */
  readonly env: NodeJS.ProcessEnv
}

const run = promisify(execFile)
const VERSION_DEADLINE_MS = 30_000

/** Servers are installed in /usr/sbin, which is not on every user's PATH, or under a package manager's prefix. */
const USUAL_DIRECTORIES = [
  "/usr/sbin",
  "/usr/bin",
  "/usr/libexec",
  "/usr/local/bin",
  "/usr/local/sbin",
  "/usr/local/mysql/bin",
  "/opt/homebrew/bin",
  "/opt/homebrew/opt/mysql/bin",
  "/opt/homebrew/opt/mariadb/bin",
  "/opt/homebrew/opt/redis/bin",
  "/opt/homebrew/opt/valkey/bin",
  "/usr/local/opt/mysql/bin",
  "/usr/local/opt/mariadb/bin",
  "/opt/local/bin"
]

/** The directories to search for programs: PATH, then the usual ones. `HOLDFAST_SEARCH_PATH` replaces both. */
function searchPath(): ReadonlyArray<string> {
  const explicit = process.env["HOLDFAST_SEARCH_PATH"]
  if (explicit !== undefined) return explicit.split(delimiter).filter((directory) => directory !== "")
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "")
  return [...new Set([...path, ...USUAL_DIRECTORIES])]
}

/** All executables with one of the names, each file once, in the order of the names. */
function programs(names: ReadonlyArray<string>, directories: ReadonlyArray<string>): ReadonlyArray<string> {
  const found = new Map<string, string>()
  for (const name of names) {
    for (const directory of directories) {
      const file = join(directory, name)
      try {
        accessSync(file, constants.X_OK)
        const real = realpathSync(file)
        if (!found.has(real)) found.set(real, file)
      } catch {
        // Not in this directory.
      }
    }
  }
  return [...found.values()]
}

const versionOf = async (program: string, env: NodeJS.ProcessEnv) =>
  (await run(program, ["--version"], { env, timeout: VERSION_DEADLINE_MS })).stdout.trim()

/**
 * Reads `--version` of a MySQL-like server. The file name is no evidence: Debian's `mysqld` is MariaDB.
 * MariaDB: `mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for ...`; MySQL: `mysqld  Ver 9.7.0 for Linux on x86_64 (...)`.
 */
export function readSqlVersion(text: string): { flavour: SqlFlavour; version: string } | undefined {
  const version = /Ver (\d+\.\d+\.\d+)/.exec(text)?.[1]
  if (version === undefined) return undefined
  return { flavour: /mariadb/i.test(text) ? "mariadb" : "mysql", version }
}

/** Redis: `Redis server v=7.0.15 sha=...`; Valkey: `Valkey server v=8.1.1 sha=...`. */
export function readRedisVersion(text: string): { flavour: RedisFlavour; version: string } | undefined {
  const match = /^(Redis|Valkey) server v=(\d+\.\d+\.\d+)/i.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { flavour: match[1].toLowerCase() === "valkey" ? "valkey" : "redis", version: match[2] }
}

interface Lookup {
  readonly directories: ReadonlyArray<string>
  readonly root: string
  readonly env: NodeJS.ProcessEnv
}

const installed = (): Lookup => ({ directories: searchPath(), root: "", env: process.env })

async function find<Flavour extends string>(
  names: ReadonlyArray<string>,
  read: (text: string) => { flavour: Flavour; version: string } | undefined,
  kind: Flavour | "any",
  { directories, root, env }: Lookup
): Promise<Installation<Flavour> | undefined> {
  for (const program of programs(names, directories)) {
    const version = await versionOf(program, env).then(read, () => undefined)
    if (version === undefined || (kind !== "any" && version.flavour !== kind)) continue
    return { ...version, program, root, env }
  }
  return undefined
}

const SQL_PROGRAMS = ["mariadbd", "mysqld"]
const REDIS_PROGRAMS = ["redis-server", "valkey-server"]

/** The first MySQL or MariaDB of the wanted kind, or undefined. */
export const findSql = (kind: SqlFlavour | "any", lookup: Lookup = installed()) =>
  find(SQL_PROGRAMS, readSqlVersion, kind, lookup)

/** The first Redis or Valkey of the wanted kind, or undefined. */
export const findRedis = (kind: RedisFlavour | "any", lookup: Lookup = installed()) =>
  find(REDIS_PROGRAMS, readRedisVersion, kind, lookup)
