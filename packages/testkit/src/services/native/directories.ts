import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { SourceUnusable } from "../errors.ts"
import { temporaryBase } from "../settings.ts"
import { isGone, isOwner, thisOwner, type Owner } from "../owner.ts"

const PREFIX = "holdfast-"
const OWNER_FILE = "owner.json"
/** The owner of a new directory may not have written its owner file yet. */
const OWNERLESS_GRACE_MS = 60_000

/** A directory for one server. A temporary one is removed with the server. */
export interface ServerDirectory {
  readonly path: string
  readonly temporary: boolean
}

/** Makes a directory that is removed with its server. Also removes directories whose owner died before it could. */
export async function temporaryDirectory(label: string, base = temporaryBase()): Promise<ServerDirectory> {
  await sweep(base)
  const path = mkdtempSync(join(base, `${PREFIX}${label}-`))
  writeOwner(path)
  return { path, temporary: true }
}

/** Removes temporary directories whose owner is gone; a power failure also ends the supervisor that would do it. */
async function sweep(base: string): Promise<void> {
  for (const entry of await readdir(base)) {
    if (!entry.startsWith(PREFIX)) continue
    const path = join(base, entry)
    if (isAbandoned(path)) rmSync(path, { recursive: true, force: true })
  }
}

function isAbandoned(path: string): boolean {
  try {
    const owner = readOwner(path)
    if (owner !== undefined) return isGone(owner)
    const stat = statSync(path)
    return stat.isDirectory() && isOurUser(stat.uid) && Date.now() - stat.mtimeMs > OWNERLESS_GRACE_MS
  } catch {
    return false
  }
}

const isOurUser = (uid: number) => process.getuid === undefined || process.getuid() === uid

const LOCKED_DEADLINE_MS = 5_000

/**
 * Claims a directory that persists between runs. Two runs must not use it at once; a killed run counts as gone, and its
 * server gets five seconds to end.
 *
 * @throws SourceUnusable when another process uses it
 */
export async function persistentDirectory(parent: string, label: string): Promise<ServerDirectory> {
  const path = join(parent, label)
  await mkdir(path, { recursive: true, mode: 0o700 })
  const deadline = Date.now() + LOCKED_DEADLINE_MS
  for (;;) {
    const owner = readOwner(path)
    if (owner === undefined || isGone(owner)) break
    if (owner.pid === process.pid) throw new SourceUnusable(`${path} is in use by this process already`)
    if (Date.now() > deadline)
      throw new SourceUnusable(
        `${path} is in use by process ${owner.pid}; stop it or use another data directory`
      )
    await delay(50)
  }
  writeOwner(path)
  return { path, temporary: false }
}

/** Removes a temporary directory; releases a persistent one for the next run. */
export function releaseDirectory({ path, temporary }: ServerDirectory): void {
  rmSync(temporary ? path : join(path, OWNER_FILE), { recursive: true, force: true })
}

const writeOwner = (path: string) => writeFileSync(join(path, OWNER_FILE), JSON.stringify(thisOwner()))

function readOwner(path: string): Owner | undefined {
  try {
    const written: unknown = JSON.parse(readFileSync(join(path, OWNER_FILE), "utf8"))
    return isOwner(written) ? written : undefined
  } catch {
    return undefined
  }
}
