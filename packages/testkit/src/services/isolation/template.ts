import { createHash, randomUUID } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { messageOf } from "../../internal/message-of.ts"
import { quoted, sqlMethods, type SqlAddress } from "../clients.ts"
import { readBlueprint, type Blueprint } from "./blueprint.ts"
import { SqlSession } from "./session.ts"

/** How the template of the tests' databases is made. */
export interface TemplateOptions {
  /** Creates the schema in the empty database behind the URL. May return a promise. */
  readonly migrate?: (url: string) => unknown
  /** Inserts the rows that every test starts with. May return a promise. */
  readonly seed?: (url: string) => unknown
  /**
   * The files and directories that determine what `migrate` and `seed` do. While their contents stay the same, all test
   * files share one template (on a server of source `url`, all runs do). Without them every test file makes its own.
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

const REGISTRY = "holdfast_testkit"
const TEST_DATABASES = `${REGISTRY}.databases_of_tests`
const LOCK_DEADLINE_SECONDS = 120
const KEPT_DAYS = 7
const TEST_DATABASES_KEPT_DAYS = 1

/**
 * The short timeouts turn a table that a test left locked into an error. Only MySQL caches counters, hence the
 * versioned comment.
 */
export const GREETING =
  "SET SESSION lock_wait_timeout = 3, innodb_lock_wait_timeout = 3, time_zone = '+00:00'; /*!80000 SET SESSION information_schema_stats_expiry = 0 */"

/** Returns the blueprint of the template with the options' fingerprint, and makes that template first if needed. */
export async function obtainBlueprint(address: SqlAddress, options: TemplateOptions): Promise<Blueprint> {
  const fingerprint = fingerprintFor(options)
  const session = new SqlSession(address, GREETING)
  try {
    await prepareRegistry(session)
    const lock = `${REGISTRY}:${fingerprint}`
    const [taken] = await session.query("SELECT GET_LOCK(?, ?) AS taken", [lock, LOCK_DEADLINE_SECONDS])
    if (Number(taken?.["taken"]) !== 1)
      throw new Error(`another process has been making the template for ${LOCK_DEADLINE_SECONDS} s`)
    const known = await lookUp(session, fingerprint)
    return known ?? (await makeTemplate(session, address, fingerprint, options))
  } finally {
    // Closing the connection releases the lock.
    await session.close()
  }
}

function fingerprintFor({ migrate, seed, migrations }: TemplateOptions): string {
  if (migrate === undefined && seed === undefined) return "empty"
  if (migrations === undefined) return fingerprintOf([], randomUUID())
  const paths = typeof migrations === "string" ? [migrations] : migrations
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

const prepareRegistry = (session: SqlSession) =>
  session.query(
    `CREATE DATABASE IF NOT EXISTS ${REGISTRY};
     CREATE TABLE IF NOT EXISTS ${REGISTRY}.templates (
       fingerprint VARCHAR(64) PRIMARY KEY, blueprint LONGTEXT NOT NULL, used_at DATETIME NOT NULL);
     CREATE TABLE IF NOT EXISTS ${TEST_DATABASES} (
       name VARCHAR(64) PRIMARY KEY, made_at DATETIME NOT NULL)`
  )

async function lookUp(session: SqlSession, fingerprint: string): Promise<Blueprint | undefined> {
  const [row] = await session.query(`SELECT blueprint FROM ${REGISTRY}.templates WHERE fingerprint = ?`, [
    fingerprint
  ])
  if (row === undefined) return undefined
  await session.query(`UPDATE ${REGISTRY}.templates SET used_at = UTC_TIMESTAMP() WHERE fingerprint = ?`, [
    fingerprint
  ])
  return JSON.parse(String(row["blueprint"]))
}

async function makeTemplate(
  session: SqlSession,
  address: SqlAddress,
  fingerprint: string,
  { migrate, seed }: TemplateOptions
): Promise<Blueprint> {
  const template = `hf_template_${fingerprint}`
  const url = sqlMethods(address).url(template)
  // A process that died may have left a partial database; only the registry lists complete templates.
  await session.query(
    `DROP DATABASE IF EXISTS ${quoted(template)}; CREATE DATABASE ${quoted(template)} CHARACTER SET utf8mb4`
  )
  for (const [step, run] of [
    ["migrate", migrate],
    ["seed", seed]
  ] as const) {
    try {
      await run?.(url)
    } catch (error) {
      await session.query(`DROP DATABASE ${quoted(template)}`)
      throw new TemplateFailed(step, error)
    }
  }
  const blueprint = await readBlueprint(session, template)
  await session.query(`REPLACE INTO ${REGISTRY}.templates VALUES (?, ?, UTC_TIMESTAMP())`, [
    fingerprint,
    JSON.stringify(blueprint)
  ])
  await dropOld(session)
  return blueprint
}

/** A server that outlives its runs would otherwise collect outdated templates and the databases of killed processes. */
async function dropOld(session: SqlSession): Promise<void> {
  const templates = await session.query(
    `SELECT fingerprint FROM ${REGISTRY}.templates WHERE used_at < UTC_TIMESTAMP() - INTERVAL ${KEPT_DAYS} DAY`
  )
  for (const { fingerprint } of templates) {
    await session.query(`DELETE FROM ${REGISTRY}.templates WHERE fingerprint = ?`, [fingerprint])
    await session.query(`DROP DATABASE IF EXISTS ${quoted(`hf_template_${String(fingerprint)}`)}`)
  }
  const databases = await session.query(
    `SELECT name FROM ${TEST_DATABASES} WHERE made_at < UTC_TIMESTAMP() - INTERVAL ${TEST_DATABASES_KEPT_DAYS} DAY`
  )
  for (const { name } of databases) await session.query(`${dropping(String(name))}; ${forget(String(name))}`)
}

/** The statement that registers a test's database before it is created. */
export const note = (name: string) => `INSERT INTO ${TEST_DATABASES} VALUES ('${name}', UTC_TIMESTAMP())`

/** The statement that unregisters a test's database after it is dropped. */
export const forget = (name: string) => `DELETE FROM ${TEST_DATABASES} WHERE name = '${name}'`
export const dropping = (name: string) => `DROP DATABASE IF EXISTS ${quoted(name)}`
