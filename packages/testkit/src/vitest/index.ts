// Adds `expect(evidence).toShow(...)`.
import "./evidence-matcher.ts"

export { createTest, VitestTooOld } from "./create-test.ts"
export type { IsolationOption, TestFixtures, TestOptions } from "./create-test.ts"
export { EvidenceShared } from "./evidence-fixture.ts"
export {
  FaultsNotFired,
  type Faults,
  type FaultsOptions,
  type ServerFaults,
  type StoreFaults
} from "./faults-fixture.ts"
export type { HistoryFixture } from "./history-fixture.ts"
export { NoClientLeft, type LocksFixture, type LocksOptions } from "./locks-fixture.ts"
export type { BoundRace } from "./race-fixture.ts"
export type { Store } from "./stores.ts"
export type { Isolation } from "./worker-services.ts"
export type { RedisConnection, SharedServices, SqlConnection } from "./connection.ts"
export type { RedisFixture } from "./redis-fixture.ts"
export type { SqlFixture } from "./sql-fixture.ts"
