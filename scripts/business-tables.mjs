// The platform serves any business: its sources name none of the tables that belong to one.
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync, Visitor } from "oxc-parser"

const MIGRATIONS = "packages/server/src/migrations/*.ts"
const PLATFORM = "packages/server/src/platform/**/*.ts"

/** The tables that the platform itself keeps. Every other table of the migrations is one of the business. */
const PLATFORM_TABLES = new Set([
  "idempotency_keys",
  "outbox",
  "cache_trust",
  "set_aside",
  "set_aside_events",
  "lock_fences",
  "worker_turns",
  "installation",
  "audit_trail",
  "audit_heads"
])

/** Table names that the migrations create, apart from the platform's own. */
function businessTables(root) {
  const created = read(root, MIGRATIONS).flatMap(({ text }) =>
    [...text.matchAll(/\bCREATE TABLE (?:IF NOT EXISTS )?`?(\w+)/gi)].map(([, table]) => table)
  )
  return [...new Set(created)].filter((table) => !PLATFORM_TABLES.has(table))
}

/**
 * Places in the platform, tests excepted, that name a business table: as an identifier or property, as a string that
 * refers to the table or to one of its columns, or after a keyword of SQL.
 * @returns {{ sources: number, tables: Array<string>, violations: Array<string> }}
 */
export function checkBusinessTables(root) {
  const tables = businessTables(root)
  const names = `(?:${tables.join("|")})`
  const isName = new RegExp(`^${names}$`)
  const isReference = new RegExp(String.raw`^${names}(?:\.\S*|\s+as\s+\w+)?$`)
  const inSql = new RegExp(
    String.raw`\b(?:from|into|join|references|table|update)\s+["\x60]?${names}\b|(?<![\w./-])${names}\.[a-z*]`,
    "i"
  )
  const sources = read(root, PLATFORM).filter(({ file }) => !/\.(test|type-test)\.ts$/.test(file))
  const violations = sources.flatMap(({ file, text }) => {
    const found = []
    const report = (node, named) => {
      const line = text.slice(0, node.start).split("\n").length
      found.push(`${file}:${line}: the platform names a business table: ${named.trim()}`)
    }
    const reportText = (node, value) => {
      const [named] = isReference.exec(value) ?? inSql.exec(value) ?? []
      if (named !== undefined) report(node, named)
    }
    new Visitor({
      Identifier: (node) => isName.test(node.name) && report(node, node.name),
      Literal: (node) => typeof node.value === "string" && reportText(node, node.value),
      TemplateElement: (node) => reportText(node, node.value.raw)
    }).visit(parseSync(file, text).program)
    return found
  })
  return { sources: sources.length, tables, violations }
}

const read = (root, pattern) =>
  globSync(pattern, { cwd: root }).map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }))
