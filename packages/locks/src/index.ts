/** `@holdfast/locks`: locks that cannot be miswritten, lost or starved. Usable without the rest of the server. */
export { connect, makeClient, type RedisClient } from "./redis/client.ts"
export type {
  ClusterNodes,
  RedisConnection,
  RedisTimings,
  SentinelGroup,
  SingleServer
} from "./redis/connection.ts"
export { RedisStore } from "./redis/store.ts"
export {
  type AcquiredLock,
  createLocks,
  type CreateLocksOptions,
  type LocksClient,
  passFences,
  type RunOptions
} from "./promise-client.ts"
export { advanceFence, createFenceTable, type FenceStatement, mintAtFence, pruneFences } from "./fencing.ts"
export { queueBackend } from "./backends/queue/queue.ts"
export type { QueueTimings } from "./backends/queue/protocol.ts"
export * from "./backend.ts"
export { Locks, type LocksOptions, type LockStores, type TakesAll } from "./layer.ts"
export { type LockHandle, LockOrderViolation } from "./lock-stack.ts"
export type { Held, InOrder, LockFree, Rejected, Takes } from "./lock-types.ts"
export { namedLocks, type NamedLocksOptions } from "./backends/mysql.ts"
export { redlockBackend } from "./backends/redlock.ts"
export { semaphoreBackend } from "./backends/semaphore.ts"
export { makeInTransaction, type TransactionBackend } from "./transaction.ts"
export { assertHeld, type LockFailure, withLock } from "./with-lock.ts"
export { askRedis, RedisUnavailable } from "./redis/ask.ts"
export { listenForErrors } from "./redis/client.ts"
export { makeSubscription, type Subscription } from "./redis/pubsub.ts"
