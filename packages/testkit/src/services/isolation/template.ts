import { randomUUID } from "node:crypto"
import { quoted, sqlMethods, type SqlAddress } from "../clients.ts"
import { messageOf } from "../errors.ts"
import { readBlueprint, type Blueprint } from "./blueprint.ts"
import { fingerprintOf } from "./fingerprint.ts"
import { SqlSession } from "./session.ts"

/** How a test's database comes to be what it is. */
export interface TemplateOptions {
  /** Brings the empty database behind the URL to the schema that the code under test expects. */
  readonly migrate?: (url: string) => unknown
  /** Puts the rows into it that every test finds. */
  readonly seed?: (url: string) => unknown
  /**
   * The files and directories that decide what `migrate` and `seed` do. While their contents are the same, so is the
   * template, and it is made once for all test files (on a server of source `url` once for all runs). Without them
   * every test file makes a template of its own.
   */
  readonly migrations?: string | ReadonlyArray<string>
}

/** The migrations or the seed failed, so there is no template. */
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
 * A table that a test still holds a lock on must be an error soon. MySQL (and it alone, hence the comment) would
 * give counters from a cache.
 */
export const GREETING =
  "SET SESSION lock_wait_timeout = 3, innodb_lock_wait_timeout = 3, time_zone = '+00:00'; /*!80000 SET SESSION information_schema_stats_expiry = 0 */"

/** The blueprint of the template with this fingerprint; makes the template first where there is none yet. */
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
    // The lock goes with the connection.
    await session.close()
  }
}

function fingerprintFor({ migrate, seed, migrations }: TemplateOptions): string {
  if (migrate === undefined && seed === undefined) return "empty"
  if (migrations === undefined) return fingerprintOf([], randomUUID())
  const paths = typeof migrations === "string" ? [migrations] : migrations
  return fingerprintOf(paths, String(migrate), String(seed))
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
  // What a process that died left is not a template: only the registry says what is one.
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

/**
 * A server that outlives its runs would collect a template for every state of the migrations, and the databases of
 * test processes that were killed.
 */
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

/** Statements that note a test's database before it is made, and forget it after it was dropped. */
export const note = (name: string) => `INSERT INTO ${TEST_DATABASES} VALUES ('${name}', UTC_TIMESTAMP())`
export const forget = (name: string) => `DELETE FROM ${TEST_DATABASES} WHERE name = '${name}'`
export const dropping = (name: string) => `DROP DATABASE IF EXISTS ${quoted(name)}`
