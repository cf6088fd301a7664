/**
 * `@holdfast/locks`: distributed locks with a FIFO queue, leases, fencing and a lock order that the compiler checks.
 */
export { InvalidAddress } from "./addresses/address.ts"
export { mysqlOptionsOf } from "./addresses/mysql.ts"
export { type RedisAddress, redisOptionsOf } from "./addresses/redis.ts"
export * from "./backend.ts"
export { namedLocks, type NamedLocksOptions } from "./backends/mysql.ts"
export type { QueueTimings } from "./backends/queue/protocol.ts"
export { queueBackend } from "./backends/queue/queue-backend.ts"
export { redlockBackend } from "./backends/redlock.ts"
export { semaphoreBackend } from "./backends/semaphore.ts"
export { makeStoreBreaker, type StoreBreaker } from "./breaker.ts"
export {
  advanceFence,
  advanceFences,
  createFenceTable,
  type FenceStatement,
  mintAtFence,
  pruneFences
} from "./fencing.ts"
export { Locks, type LocksOptions, type LockStores, type TakesAll } from "./layer.ts"
export {
  hasEndedLock,
  type LockContext,
  lockContext,
  type LockHandle,
  LockOrderViolation,
  underLocks
} from "./lock-stack.ts"
export type { Held, InOrder, LockFree, Rejected, Takes } from "./lock-types.ts"
export {
  type AcquiredLock,
  createLocks,
  type CreateLocksOptions,
  type LocksClient,
  passFences,
  type RunOptions
} from "./promise-client.ts"
export { RedisUnavailable } from "./redis/breaker.ts"
export {
  askRedis,
  type ClusterNodes,
  connect,
  listenForErrors,
  makeClient,
  type RedisConnection,
  RedisStore,
  type RedisClientOptions,
  type RedisUrl,
  type SentinelGroup
} from "./redis/client.ts"
export { isCluster, type RedisClient } from "./redis/is-cluster.ts"
export { type ChannelListener, makeSubscription, type Subscription } from "./redis/pubsub.ts"
export { pipelined, type RedisCommand } from "./redis/pipelined.ts"
export { isWrongType } from "./redis/wrong-type.ts"
export { defineScripts, type RunScript, type ScriptDefinition } from "./redis/scripts.ts"
export { makeInTransaction, type TransactionBackend } from "./transaction.ts"
export { assertHeld, type LockFailure, withLock } from "./with-lock.ts"
