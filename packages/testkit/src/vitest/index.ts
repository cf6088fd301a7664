// Adds `expect(evidence).toShow(...)`.
import "../evidence/vitest.ts"

export { createTest } from "./create-test.ts"
export type { TestOptions } from "./create-test.ts"
export type { RedisConnection, SharedServices, SqlConnection } from "./connection.ts"
export type { RedisFixture } from "./redis-fixture.ts"
export { serviceSetup } from "./service-setup.ts"
export type { SqlFixture } from "./sql-fixture.ts"
