import { commerceLocks, OrderCreateLock, type OrderLine, type UserId } from "@holdfast/domain"
import { createLocks, type LockHandle, mintAtFence, passFences } from "@holdfast/locks"
import type { PoolConnection } from "mysql2/promise"
import { write } from "./database.ts"
import { has } from "./parts.ts"
import { redis } from "./redis.ts"

const locks = has("lock") ? createLocks(commerceLocks, { redis }) : undefined

type Goods = Parameters<typeof OrderCreateLock.key>[0]

/** Advances the fence of an order in its transaction. */
export type PassFence = (on: PoolConnection) => Promise<unknown>

/** Runs the body under Holdfast's lock of the order, or at once where the floor has no locks. */
export const underLock = <A>(
  userId: string,
  lines: ReadonlyArray<{ readonly sku: string; readonly quantity: number }>,
  body: (passFence: PassFence) => Promise<A>
): Promise<A> => {
  const goods: Goods = { userId: userId as UserId, lines: lines as ReadonlyArray<OrderLine> }
  if (locks === undefined) return body((on) => fence(on, OrderCreateLock.key(goods), undefined))
  return locks.run(OrderCreateLock, goods, (_signal, lock) => body((on) => fence(on, "", lock)))
}

/** Without a lock there is no token, so the fence gives one, as it does while Redis is away. */
const fence = async (on: PoolConnection, key: string, lock: LockHandle | undefined): Promise<void> => {
  if (!has("fence")) return
  const run = async (sql: string, values: ReadonlyArray<string | number>) =>
    (await write(on, sql, values)).insertId
  if (lock === undefined) await mintAtFence(run, key)
  else await passFences(lock, run)
}
