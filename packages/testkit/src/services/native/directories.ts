import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { SourceUnusable } from "../errors.ts"
import { temporaryBase } from "../settings.ts"
import { isGone, isOwner, thisOwner, type Owner } from "./owner.ts"

const PREFIX = "holdfast-"
const OWNER_FILE = "owner.json"
/** A directory without an owner file may belong to somebody who is about to write it. */
const OWNERLESS_GRACE_MS = 60_000

/** A directory for one server, and how to treat it at the end. */
export interface ServerDirectory {
  readonly path: string
  readonly temporary: boolean
}

/** Makes a directory that goes away with its server, and removes those whose owner died before it could. */
export async function temporaryDirectory(label: string, base = temporaryBase()): Promise<ServerDirectory> {
  await sweep(base)
  const path = mkdtempSync(join(base, `${PREFIX}${label}-`))
  writeOwner(path)
  return { path, temporary: true }
}

/** Removes temporary directories whose owner is gone: a power cut may have ended its supervisor too. */
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
 * Takes a directory that is kept between runs. Two runs must not use it at once; a run that was killed a moment ago
 * counts as gone, and its server is given time to end.
 */
export async function keptDirectory(parent: string, label: string): Promise<ServerDirectory> {
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

/** Removes a temporary directory; gives a kept one free for the next run. */
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
