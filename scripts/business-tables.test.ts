import { expect, test } from "vitest"
import { checkBusinessTables } from "./business-tables.mjs"
import { plant } from "./planted.ts"

const migrations = {
  "packages/server/src/migrations/0001-first.ts":
    "const tables = [`CREATE TABLE IF NOT EXISTS users (id INT)`, `CREATE TABLE IF NOT EXISTS outbox (id INT)`]",
  "packages/server/src/migrations/0002-orders.ts": "const tables = [`CREATE TABLE orders (id INT)`]"
}

const check = (path: string, source: string) =>
  checkBusinessTables(plant({ ...migrations, [`packages/server/src/platform/${path}`]: source }))

test("the tables of the business are those of the migrations without the platform's own", () => {
  expect(check("db/pool.ts", "").tables).toEqual(["users", "orders"])
})

test.each([
  ["a table of Kysely", `db.selectFrom("orders").selectAll()`],
  ["a table with an alias", `db.selectFrom("orders as o").selectAll()`],
  ["a column", `query.where("users.id", "=", id)`],
  ["SQL in a template", "sql`SELECT 1 FROM orders WHERE id = ${id}`"],
  ["SQL in a string", `raw("update users set role = 'admin'")`],
  ["a key of the schema", "interface Tables { users: object }"],
  ["a property", "tables.orders"]
])("the platform must not name a business table: %s", (_case, source) => {
  expect(check("db/pool.ts", `\n${source}`).violations).toEqual([
    expect.stringMatching(/^packages\/server\/src\/platform\/db\/pool\.ts:2: .*(users|orders)/)
  ])
})

test.each([
  ["its own tables", "pool.ts", `db.selectFrom("outbox").selectAll()`],
  ["comments and prose", "pool.ts", `// orders\nconst text = "too many users at once"`],
  ["longer names", "pool.ts", `const orderStatus = "orders:live"; reorders.users_total`],
  ["tests", "pool.test.ts", `db.selectFrom("orders")`]
])("the platform may have %s", (_case, file, source) => {
  expect(check(`db/${file}`, source).violations).toEqual([])
})
