import type { MysqlPool, MysqlPoolConnection } from "kysely"
import { afterEach, expect, inject, test } from "vitest"
import { guardedPool } from "./pool.ts"
import { NoAnswer } from "./sql-errors.ts"

let pool: MysqlPool | undefined
afterEach(() => new Promise<void>((resolve) => pool?.end(() => resolve())))

const get = () =>
  new Promise<MysqlPoolConnection>((resolve, reject) =>
    pool!.getConnection((error, connection) => (error ? reject(error) : resolve(connection)))
  )
const idOf = (connection: MysqlPoolConnection) =>
  new Promise<unknown>((resolve, reject) =>
    connection.query("select connection_id() as id", [], (error, rows) =>
      error ? reject(error) : resolve((rows as unknown as ReadonlyArray<{ readonly id: number }>)[0]?.id)
    )
  )

test("whoever waits for a connection in vain is refused in time, and leaves nothing behind", async () => {
  ;({ pool } = guardedPool({ uri: inject("mysqlUrl"), connectionLimit: 1 }, 300))
  const held = await get()
  const startedAtMs = performance.now()
  await expect(get()).rejects.toBeInstanceOf(NoAnswer)
  expect(performance.now() - startedAtMs).toBeLessThan(2_000)
  const id = await idOf(held)
  held.release()
  // The connection came too late for the waiter, and went back.
  const next = await get()
  expect(await idOf(next)).toBe(id)
  next.release()
})

test("a connection that is returned in the middle of a statement is closed", async () => {
  const guarded = guardedPool({ uri: inject("mysqlUrl"), connectionLimit: 1 }, 5_000)
  pool = guarded.pool
  const connection = await get()
  const id = await idOf(connection)
  const answer = new Promise((resolve) => connection.query("select sleep(30)", [], resolve))
  connection.release()
  expect(await answer).toBeInstanceOf(NoAnswer)
  const next = await get()
  expect(await idOf(next)).not.toBe(id)
  next.release()
  expect([...guarded.ghosts.keys()]).toEqual([id])
})
