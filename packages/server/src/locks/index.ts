/** `@holdfast/server/locks`: locks that cannot be miswritten, lost or starved. Usable without the rest of the server. */
export { connect, makeClient, type RedisClient } from "../redis/connect.ts"
export type {
  ClusterNodes,
  RedisConnection,
  RedisTimings,
  SentinelGroup,
  SingleServer
} from "../redis/connection.ts"
export { RedisStore } from "../redis/RedisStore.ts"
export {
  type AcquiredLock,
  createLocks,
  type CreateLocksOptions,
  type LocksClient,
  passFences,
  type RunOptions
} from "./createLocks.ts"
export { advanceFence, createFenceTable, type FenceStatement, mintAtFence, pruneFences } from "./fence.ts"
export { fifoBackend } from "./fifo/fifoBackend.ts"
export type { FifoTimings } from "./fifo/line.ts"
export * from "./LockBackend.ts"
export { Locks, type LocksOptions, type LockStores, type TakesAll } from "./Locks.ts"
export { type LockHandle, LockOrderViolation } from "./lockStack.ts"
export type { Held, InOrder, LockFree, Rejected, Takes } from "./marks.ts"
export { namedLocks, type NamedLocksOptions } from "./namedLocks.ts"
export { quorumBackend } from "./quorumBackend.ts"
export { semaphoreBackend } from "./semaphoreBackend.ts"
export { makeInTransaction, type TransactionBackend } from "./transaction.ts"
export { assertHeld, type LockFailure, withLock } from "./withLock.ts"
