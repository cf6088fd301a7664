import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from "mysql2/promise"
import { createPool } from "mysql2/promise"
import { newId } from "../shop/people.ts"
import { transactionOn } from "../transaction.ts"
import type { Outcome } from "./outcome.ts"

/** As many connections as a Holdfast process keeps. */
const CONNECTIONS = 16

const TABLES = [
  "CREATE TABLE products (sku VARCHAR(64) PRIMARY KEY, stock BIGINT NOT NULL, version BIGINT NOT NULL DEFAULT 0)",
  "CREATE TABLE sales (id CHAR(36) PRIMARY KEY, sku VARCHAR(64) NOT NULL)"
]

const SKU = "one"

/** One product and its sales. Each sale takes a unit and writes a row, in one transaction. */
export class Goods implements AsyncDisposable {
  private readonly pool: Pool

  private constructor(pool: Pool) {
    this.pool = pool
  }

  static async open(uri: string): Promise<Goods> {
    const pool = createPool({ uri, connectionLimit: CONNECTIONS })
    pool.pool.on("connection", (connection) => {
      connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    })
    for (const table of TABLES) await pool.query(table)
    return new Goods(pool)
  }

  /** Begins anew, with so many units and no sale. */
  async restock(units: number): Promise<void> {
    await this.pool.query("DELETE FROM sales")
    await this.pool.query("REPLACE INTO products (sku, stock) VALUES (?, ?)", [SKU, units])
  }

  /** What the database says afterwards. */
  async books(): Promise<{ readonly left: number; readonly sales: number }> {
    const [rows] = await this.pool.query<Array<RowDataPacket>>(
      "SELECT stock, (SELECT COUNT(*) FROM sales) AS sales FROM products WHERE sku = ?",
      [SKU]
    )
    return { left: Number(rows[0]?.["stock"]), sales: Number(rows[0]?.["sales"]) }
  }

  /** Runs the body in a transaction, and again after every deadlock. */
  transaction<A>(body: (on: PoolConnection) => Promise<A>): Promise<A> {
    return transactionOn(this.pool, Infinity, body)
  }

  /** Writes back one unit less than was read. */
  async sellAsRead(on: PoolConnection, read: "plain" | "forUpdate"): Promise<Outcome> {
    const { stock } = await this.read(on, read)
    if (stock < 1) return "soldOut"
    await on.execute("UPDATE products SET stock = ? WHERE sku = ?", [stock - 1, SKU])
    await this.insertSales(on, 1)
    return "sold"
  }

  /** Writes only over the version that was read. */
  async sellIfUnchanged(on: PoolConnection): Promise<Outcome | "changed"> {
    const { stock, version } = await this.read(on, "plain")
    if (stock < 1) return "soldOut"
    const [{ affectedRows }] = await on.execute<ResultSetHeader>(
      "UPDATE products SET stock = ?, version = version + 1 WHERE sku = ? AND version = ?",
      [stock - 1, SKU, version]
    )
    if (affectedRows === 0) return "changed"
    await this.insertSales(on, 1)
    return "sold"
  }

  /** Decides many calls on one row lock, the first ones first. */
  async sellMany(on: PoolConnection, calls: number): Promise<ReadonlyArray<Outcome>> {
    const { stock } = await this.read(on, "forUpdate")
    const units = Math.min(stock, calls)
    if (units > 0) {
      await this.insertSales(on, units)
      await on.execute("UPDATE products SET stock = ? WHERE sku = ?", [stock - units, SKU])
    }
    return Array.from({ length: calls }, (_, call) => (call < units ? "sold" : "soldOut"))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.end()
  }

  private async read(on: PoolConnection, how: "plain" | "forUpdate") {
    const [rows] = await on.execute<Array<RowDataPacket>>(
      `SELECT stock, version FROM products WHERE sku = ?${how === "forUpdate" ? " FOR UPDATE" : ""}`,
      [SKU]
    )
    return { stock: Number(rows[0]?.["stock"]), version: Number(rows[0]?.["version"]) }
  }

  private async insertSales(on: PoolConnection, count: number): Promise<void> {
    const sales = Array.from({ length: count }, () => [newId(), SKU])
    await on.query("INSERT INTO sales (id, sku) VALUES ?", [sales])
  }
}
