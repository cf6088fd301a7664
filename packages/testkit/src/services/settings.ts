import { accessSync, constants, lstatSync, mkdirSync, statfsSync } from "node:fs"
import { homedir, tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { InvalidSetting } from "./errors.ts"
import { sources, type RedisFlavour, type Source, type SqlFlavour } from "./service.ts"

/** Which SQL server to start. */
export interface SqlOptions {
  /** Default `any`: whichever the source has, unless `HOLDFAST_SQL_KIND` names one. */
  readonly kind?: SqlFlavour | "any"
  /** Image for source `docker`. Default: `HOLDFAST_MYSQL_IMAGE` or `HOLDFAST_MARIADB_IMAGE`, else a recent one. */
  readonly image?: string
}

/** Which Redis server to start. */
export interface RedisOptions {
  /** Default `any`: whichever the source has, unless `HOLDFAST_REDIS_KIND` names one. */
  readonly kind?: RedisFlavour | "any"
  /** Image for source `docker`. Default: `HOLDFAST_REDIS_IMAGE` or `HOLDFAST_VALKEY_IMAGE`, else a recent one. */
  readonly image?: string
  /** Whether keys survive a restart (append-only file). Default: only with a `dataDirectory`. */
  readonly persistent?: boolean
}

/** What a source is told about the service to start. */
export interface Wish<Flavour extends string> {
  readonly kind: Flavour | "any"
  readonly image: string | undefined
  readonly persistent: boolean
  /** A directory that the caller keeps; without it, a temporary one is removed with the server. */
  readonly dataDirectory: string | undefined
  readonly progress: (line: string) => void
}

/** The sources to try: the one that `HOLDFAST_SOURCE` forces, else the caller's order, else all of them. */
export function sourceOrder(asked: ReadonlyArray<Source> | undefined): ReadonlyArray<Source> {
  const forced = process.env["HOLDFAST_SOURCE"]
  if (forced === undefined || forced === "") return asked ?? sources
  return [oneOf("HOLDFAST_SOURCE", forced, sources)]
}

/** The flavour to start: the caller's choice, else the variable's, else any. */
export function chosenKind<Flavour extends string>(
  asked: Flavour | "any" | undefined,
  variable: string,
  flavours: ReadonlyArray<Flavour>
): Flavour | "any" {
  if (asked !== undefined && asked !== "any") return asked
  const value = process.env[variable]
  return value === undefined || value === "" ? "any" : oneOf(variable, value, [...flavours, "any"])
}

function oneOf<T extends string>(setting: string, value: string, allowed: ReadonlyArray<T>): T {
  const found = allowed.find((one) => one === value)
  if (found === undefined)
    throw new InvalidSetting({ setting, value, reason: `expected one of ${allowed.join(", ")}` })
  return found
}

/**
 * Where templates and unpacked packages persist between runs: `HOLDFAST_CACHE`, else the user's cache directory, else,
 * when the home directory is not writable (service accounts, containers), a private directory in the temporary one.
 */
export function cacheDirectory(...parts: ReadonlyArray<string>): string {
  const explicit = process.env["HOLDFAST_CACHE"]
  const candidates =
    explicit === undefined || explicit === ""
      ? [
          join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "holdfast"),
          join(tmpdir(), `holdfast-cache-${userInfo().uid}`)
        ]
      : [explicit]
  let refused: unknown
  for (const candidate of candidates) {
    try {
      mkdirSync(candidate, { recursive: true, mode: 0o700 })
      assertOurs(candidate)
      const directory = join(candidate, ...parts)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return directory
    } catch (error) {
      refused = error
    }
  }
  throw refused
}

/** Programs are started from the cache, so a directory that another user owns is refused. */
function assertOurs(directory: string): void {
  accessSync(directory, constants.W_OK)
  const { uid } = lstatSync(directory)
  if (process.getuid !== undefined && uid !== process.getuid())
    throw new InvalidSetting({
      setting: "cache directory",
      value: directory,
      reason: `belongs to user ${uid}`
    })
}

const SHARED_MEMORY = "/dev/shm"
const SHARED_MEMORY_MINIMUM_BYTES = 1024 ** 3

/** Where temporary data go: `HOLDFAST_TMPDIR`, else shared memory when it has a gigabyte free, else the disk. */
export function temporaryBase(): string {
  const explicit = process.env["HOLDFAST_TMPDIR"]
  if (explicit !== undefined && explicit !== "") return explicit
  try {
    accessSync(SHARED_MEMORY, constants.W_OK)
    const { bavail, bsize } = statfsSync(SHARED_MEMORY)
    if (bavail * bsize >= SHARED_MEMORY_MINIMUM_BYTES) return SHARED_MEMORY
  } catch {
    // No such file system (macOS), or not writable: use the temporary directory.
  }
  return tmpdir()
}
