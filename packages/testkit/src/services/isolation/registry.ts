import { quoted } from "../clients.ts"
import { isGone, isNear, isOwner, thisOwner } from "../owner.ts"
import type { SqlSession } from "./session.ts"

/** The database in which the testkit marks what it has made on a server. */
const REGISTRY = "holdfast_testkit"

const TEMPLATE_PREFIX = "hf_template_"

/** The database of the template with that fingerprint. */
export const templateName = (fingerprint: string): string => `${TEMPLATE_PREFIX}${fingerprint}`

/** The server's named lock that is held while a database of the testkit is made or dropped. Names have at most 64 letters. */
export const lockOf = (name: string): string => `${REGISTRY}:${name}`.slice(0, 64)

const TEMPLATES = `${REGISTRY}.templates`
const OWNED = `${REGISTRY}.owned_databases`
const TABLES = ["templates", "owned_databases"]

const KEPT_DAYS = 7
/** An owner on another host cannot be checked; no run takes this long. */
const FAR_OWNERS_KEPT_DAYS = 1

/** The server has a database that the testkit would have to change, but did not make. */
export class ForeignDatabase extends Error {
  readonly _tag = "ForeignDatabase"
  readonly database: string

  constructor(database: string) {
    super(
      `the SQL server has a database ${database} that the testkit did not make, so it is not touched. ` +
        "Rename or drop it yourself, or use another server (HOLDFAST_MYSQL_URL)."
    )
    this.name = "ForeignDatabase"
    this.database = database
  }
}

/** The user may not create the databases of the tests. The message has the statements that allow it. */
export class DatabasesForbidden extends Error {
  readonly _tag = "DatabasesForbidden"

  constructor(user: string, cause: unknown) {
    const [name = "", host = "%"] = user.split("@")
    const to = `'${name}'@'${host}'`
    super(
      `the user ${to} may not create the databases of the tests. An administrator of the server can allow it:\n` +
        `  GRANT ALL PRIVILEGES ON \`holdfast\\_testkit\`.* TO ${to};\n` +
        `  GRANT ALL PRIVILEGES ON \`hf\\_%\`.* TO ${to};`,
      { cause }
    )
    this.name = "DatabasesForbidden"
  }
}

/** ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR. */
const DENIED = new Set([1044, 1142, 1227])

/** Runs `work`, and turns the refusal of a privilege into {@link DatabasesForbidden}. */
export async function explainingDenial<A>(session: SqlSession, work: () => Promise<A>): Promise<A> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Error) || !("errno" in error) || !DENIED.has(Number(error.errno))) throw error
    const [row] = await session.query("SELECT CURRENT_USER() AS user")
    throw new DatabasesForbidden(String(row?.["user"]), error)
  }
}

/**
 * Creates the registry.
 *
 * @throws ForeignDatabase when a database of that name belongs to somebody else
 */
export async function prepareRegistry(session: SqlSession): Promise<void> {
  const present = await session.query(
    "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?",
    [REGISTRY]
  )
  const ours = present.filter(({ name }) => TABLES.includes(String(name)))
  if (present.length > 0 && ours.length === 0) throw new ForeignDatabase(REGISTRY)
  await session.query(
    `CREATE DATABASE IF NOT EXISTS ${REGISTRY};
     CREATE TABLE IF NOT EXISTS ${TEMPLATES} (
       fingerprint VARCHAR(64) PRIMARY KEY, blueprint LONGTEXT NOT NULL, used_at DATETIME NOT NULL);
     CREATE TABLE IF NOT EXISTS ${OWNED} (
       name VARCHAR(64) PRIMARY KEY, owner TEXT NOT NULL, made_at DATETIME NOT NULL, kept_until DATETIME NULL)`
  )
}

/** Marks a database as this process's before it is created, so that its leftovers are found even if it dies at once. */
export const mark = async (session: SqlSession, name: string): Promise<void> => {
  await session.query(`REPLACE INTO ${OWNED} VALUES (?, ?, UTC_TIMESTAMP(), NULL)`, [
    name,
    JSON.stringify(thisOwner())
  ])
}

/** Whether the testkit made the database; a name that the server does not have counts as ours. */
async function isOurs(session: SqlSession, name: string): Promise<boolean> {
  const [row] = await session.query(
    `SELECT NOT EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?)
       OR EXISTS (SELECT 1 FROM ${OWNED} WHERE name = ?)
       OR EXISTS (SELECT 1 FROM ${TEMPLATES} WHERE CONCAT('${TEMPLATE_PREFIX}', fingerprint) = ?) AS ours`,
    [name, name, name]
  )
  return Number(row?.["ours"]) === 1
}

/**
 * Drops a database of the testkit and its mark.
 *
 * @throws ForeignDatabase when it has none
 */
export async function dropOurs(session: SqlSession, name: string): Promise<void> {
  if (!(await isOurs(session, name))) throw new ForeignDatabase(name)
  await session.query(`DROP DATABASE IF EXISTS ${quoted(name)}`)
  await session.query(`DELETE FROM ${TEMPLATES} WHERE CONCAT('${TEMPLATE_PREFIX}', fingerprint) = ?`, [name])
  await unmark(session, name)
}

/** Keeps a marked database for `seconds`, even after its owner has ended. */
export const keepOurs = async (session: SqlSession, name: string, seconds: number): Promise<void> => {
  await session.query(`UPDATE ${OWNED} SET kept_until = UTC_TIMESTAMP() + INTERVAL ? SECOND WHERE name = ?`, [
    seconds,
    name
  ])
}

/** A server that outlives its runs would otherwise collect outdated templates and the databases of killed processes. */
export async function dropLeftovers(session: SqlSession): Promise<void> {
  const old = `SELECT CONCAT('${TEMPLATE_PREFIX}', fingerprint) AS name FROM ${TEMPLATES}
     WHERE used_at < UTC_TIMESTAMP() - INTERVAL ${KEPT_DAYS} DAY`
  for (const { name } of await session.query(old)) await dropUnless(session, String(name), isInUse)
  const marked = `SELECT name FROM ${OWNED} WHERE kept_until IS NULL OR kept_until < UTC_TIMESTAMP()`
  for (const { name } of await session.query(marked)) await dropUnless(session, String(name), hasOwner)
}

/** The lock keeps a process from making a template that another one drops. */
async function dropUnless(
  session: SqlSession,
  name: string,
  isNeeded: (session: SqlSession, name: string) => Promise<boolean>
): Promise<void> {
  const [taken] = await session.query("SELECT GET_LOCK(?, 0) AS taken", [lockOf(name)])
  if (Number(taken?.["taken"]) !== 1) return
  try {
    if (!(await isNeeded(session, name))) await dropOurs(session, name)
  } finally {
    await session.query("DO RELEASE_LOCK(?)", [lockOf(name)])
  }
}

async function isInUse(session: SqlSession, name: string): Promise<boolean> {
  const used = `SELECT 1 FROM ${TEMPLATES} WHERE CONCAT('${TEMPLATE_PREFIX}', fingerprint) = ?
     AND used_at >= UTC_TIMESTAMP() - INTERVAL ${KEPT_DAYS} DAY`
  return (await session.query(used, [name])).length > 0
}

async function hasOwner(session: SqlSession, name: string): Promise<boolean> {
  const [row] = await session.query(
    `SELECT owner, made_at < UTC_TIMESTAMP() - INTERVAL ${FAR_OWNERS_KEPT_DAYS} DAY AS isOld FROM ${OWNED} WHERE name = ?`,
    [name]
  )
  const owner: unknown = row === undefined ? undefined : JSON.parse(String(row["owner"]))
  if (!isOwner(owner)) return true
  return isNear(owner) ? !isGone(owner) : Number(row?.["isOld"]) !== 1
}

/** The blueprint of a complete template. */
export async function lookUpTemplate(session: SqlSession, fingerprint: string): Promise<string | undefined> {
  const [row] = await session.query(`SELECT blueprint FROM ${TEMPLATES} WHERE fingerprint = ?`, [fingerprint])
  if (row === undefined) return undefined
  await session.query(`UPDATE ${TEMPLATES} SET used_at = UTC_TIMESTAMP() WHERE fingerprint = ?`, [
    fingerprint
  ])
  return String(row["blueprint"])
}

/** Records a complete template, which has no owner from now on. */
export async function storeTemplate(
  session: SqlSession,
  fingerprint: string,
  blueprint: string
): Promise<void> {
  await session.query(`REPLACE INTO ${TEMPLATES} VALUES (?, ?, UTC_TIMESTAMP())`, [fingerprint, blueprint])
}

/** Ends the ownership of a database that outlives this process. */
export const unmark = async (session: SqlSession, name: string): Promise<void> => {
  await session.query(`DELETE FROM ${OWNED} WHERE name = ?`, [name])
}
