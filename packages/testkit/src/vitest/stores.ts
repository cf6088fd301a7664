import type { RedisFixture } from "./redis-fixture.ts"
import type { SqlFixture } from "./sql-fixture.ts"

/** A server that a test can have. */
export type Store = "sql" | "redis"

/** The test's databases; undefined for a store that `createTest` omits. */
export interface StoreFixtures {
  readonly sql: SqlFixture | undefined
  readonly redis: RedisFixture | undefined
}
