import type { RedisFixture } from "./redis-fixture.ts"
import type { SqlFixture } from "./sql-fixture.ts"

/** The servers that a test can have. */
export type Store = "sql" | "redis"

/** The test's databases; one is missing where `createTest` was told not to have it. */
export interface StoreFixtures {
  readonly sql: SqlFixture | undefined
  readonly redis: RedisFixture | undefined
}

/** A worker's database while one test has it. */
export interface Borrowed<Fixture> {
  readonly fixture: Fixture
  readonly giveBack: () => void
  /** The database is left as it is; nobody gets it any more. */
  readonly keep: (test: string) => void
}
