import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { messageOf } from "../../internal/message-of.ts"
import { quoted, sqlMethods } from "../clients.ts"
import type { SqlAddress } from "../service.ts"
import { thisOwner } from "../owner.ts"
import { readBlueprint, type Blueprint } from "./blueprint.ts"
import {
  dropLeftovers,
  dropOurs,
  explainingDenial,
  lockOf,
  lookUpTemplate,
  mark,
  prepareRegistry,
  storeTemplate,
  templateName,
  unmark
} from "./registry.ts"
import { SqlSession } from "./session.ts"

/** How the template of the tests' databases is made. */
export interface TemplateOptions {
  /** Creates the schema in the empty database behind the URL. May return a promise. */
  readonly migrate?: (url: string) => unknown
  /** Inserts the rows that every test starts with. May return a promise. */
  readonly seed?: (url: string) => unknown
  /**
   * The files and directories that determine what `migrate` and `seed` do. While their contents stay the same, all test
   * files share one template (on a server of source `url`, all runs do). Without them every process makes its own, and
   * drops it.
   */
  readonly migrations?: string | ReadonlyArray<string>
}

/** `migrate` or `seed` threw, so there is no template. */
export class TemplateFailed extends Error {
  readonly _tag = "TemplateFailed"
  readonly step: "migrate" | "seed"

  constructor(step: "migrate" | "seed", cause: unknown) {
    super(`${step} of the template database failed: ${messageOf(cause)}`, { cause })
    this.name = "TemplateFailed"
    this.step = step
  }
}

const LOCK_DEADLINE_SECONDS = 120

/**
 * The short timeouts turn a table that a test left locked into an error. Only MySQL caches counters, hence the
 * versioned comment.
 */
export const GREETING =
  "SET SESSION lock_wait_timeout = 3, innodb_lock_wait_timeout = 3, time_zone = '+00:00'; /*!80000 SET SESSION information_schema_stats_expiry = 0 */"

/** A template, and how to drop it. */
export interface Template {
  readonly blueprint: Blueprint
  /** Drops a template that only this process can use. Others stay for the next run. */
  readonly drop: () => Promise<void>
}

/** Returns the template with the options' fingerprint, and makes it first if needed. */
export async function obtainTemplate(address: SqlAddress, options: TemplateOptions): Promise<Template> {
  const fingerprint = fingerprintFor(options)
  const name = templateName(fingerprint)
  const session = new SqlSession(address, GREETING)
  try {
    return await explainingDenial(session, async () => {
      await prepareRegistry(session)
      await dropLeftovers(session)
      const [taken] = await session.query("SELECT GET_LOCK(?, ?) AS taken", [
        lockOf(name),
        LOCK_DEADLINE_SECONDS
      ])
      if (Number(taken?.["taken"]) !== 1)
        throw new Error(`another process has been making the template for ${LOCK_DEADLINE_SECONDS} s`)
      const known = await lookUpTemplate(session, fingerprint)
      const blueprint: Blueprint =
        known === undefined ? await makeTemplate(session, address, fingerprint, options) : JSON.parse(known)
      return { blueprint, drop: () => (isPrivate(options) ? dropTemplate(address, name) : Promise.resolve()) }
    })
  } finally {
    // Closing the connection releases the lock.
    await session.close()
  }
}

async function dropTemplate(address: SqlAddress, name: string): Promise<void> {
  const session = new SqlSession(address, GREETING)
  try {
    await dropOurs(session, name)
  } finally {
    await session.close()
  }
}

/** What a function does may depend on anything, so its text identifies it only within one process. */
const isPrivate = ({ migrate, seed, migrations }: TemplateOptions): boolean =>
  migrations === undefined && (migrate !== undefined || seed !== undefined)

const functions = new WeakMap<object, number>()
let functionCount = 0

/** The text of a function, and a number that tells it from others with the same text. */
function identityOf(step: TemplateOptions["migrate"]): string {
  if (step === undefined) return ""
  const number = functions.get(step) ?? ++functionCount
  functions.set(step, number)
  return `${number}:${String(step)}`
}

function fingerprintFor(options: TemplateOptions): string {
  const { migrate, seed, migrations } = options
  if (migrate === undefined && seed === undefined) return "empty"
  if (isPrivate(options))
    return fingerprintOf([], JSON.stringify(thisOwner()), identityOf(migrate), identityOf(seed))
  const paths = typeof migrations === "string" ? [migrations] : (migrations ?? [])
  return fingerprintOf(paths, String(migrate), String(seed))
}

/** A hash of the names and contents of files and of everything below directories, in a fixed order, and of `more`. */
function fingerprintOf(paths: ReadonlyArray<string>, ...more: ReadonlyArray<string>): string {
  const hash = createHash("sha256")
  for (const path of paths)
    for (const file of filesOf(path))
      hash
        .update(`${file.slice(path.length)}\0`)
        .update(readFileSync(file))
        .update("\0")
  for (const text of more) hash.update(`${text}\0`)
  return hash.digest("hex").slice(0, 32)
}

function filesOf(path: string): ReadonlyArray<string> {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesOf(join(path, name)))
}

async function makeTemplate(
  session: SqlSession,
  address: SqlAddress,
  fingerprint: string,
  options: TemplateOptions
): Promise<Blueprint> {
  const { migrate, seed } = options
  const template = templateName(fingerprint)
  const url = sqlMethods(address).url(template)
  // A process that died may have left a partial database; only the registry lists complete templates.
  await dropOurs(session, template)
  await mark(session, template)
  await session.query(`CREATE DATABASE ${quoted(template)} CHARACTER SET utf8mb4`)
  for (const [step, run] of [
    ["migrate", migrate],
    ["seed", seed]
  ] as const) {
    try {
      await run?.(url)
    } catch (error) {
      await dropOurs(session, template)
      throw new TemplateFailed(step, error)
    }
  }
  const blueprint = await readBlueprint(session, template)
  await storeTemplate(session, fingerprint, JSON.stringify(blueprint))
  if (!isPrivate(options)) await unmark(session, template)
  return blueprint
}
