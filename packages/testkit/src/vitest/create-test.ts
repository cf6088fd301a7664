import { test, type TestAPI } from "vitest"
import type { LiveEvidence } from "../evidence/evidence.ts"
import type { RedisOptions, Source, SqlOptions, TemplateOptions } from "../services/index.ts"
import { evidenceFixture } from "./evidence-fixture.ts"
import { faultsFixture, type Faults, type FaultsOptions } from "./faults-fixture.ts"
import { historyFixture, type HistoryFixture } from "./history-fixture.ts"
import { giveBackOrKeep } from "./keep.ts"
import { locksFixture, type LocksFixture, type LocksOptions } from "./locks-fixture.ts"
import { boundRace, type BoundRace } from "./race-fixture.ts"
import { workerRedis, type RedisFixture } from "./redis-fixture.ts"
import { workerDatabases, type SqlFixture } from "./sql-fixture.ts"
import type { Store } from "./stores.ts"
import { lendRedis, lendSql, type Isolation } from "./worker-services.ts"

export interface TestOptions {
  /** The kind of server and the template of its databases. `false`: the tests have no SQL server. */
  readonly sql?: (SqlOptions & TemplateOptions & IsolationOption) | false
  /** The kind of server. `false`: the tests have no Redis server. */
  readonly redis?: (RedisOptions & IsolationOption) | false
  /** The sources to try where the run's services (`serviceSetup`) do not fit. */
  readonly source?: ReadonlyArray<Source>
  readonly faults?: FaultsOptions
  readonly locks?: LocksOptions
}

export interface IsolationOption {
  /**
   * A database of the run's server (the default), or a server of the test file's own: for code that uses
   * publish/subscribe or commands that concern a whole server, for `evidence`, and to freeze and kill it. A server of
   * source `url` is never one's own.
   */
  readonly isolation?: Isolation
}

/** What `createTest` adds to the context of a test. What a test does not ask for is not started. */
export type TestFixtures<Stores extends Store = Store> = Pick<
  { readonly sql: SqlFixture; readonly redis: RedisFixture },
  Stores
> & {
  /** Makes histories that are checked against a model; the timeline of a failed one is attached to the test. */
  readonly history: HistoryFixture
  /** Proxies in front of the test's databases that lose replies, delay, freeze and refuse. */
  readonly faults: Faults<Stores>
  /** What the servers have done since the test began: `await expect(evidence).toShow(...)`. */
  readonly evidence: LiveEvidence
  /** `race`, bound to the test's timeout. */
  readonly race: BoundRace
  /** Clients whose locks are watched. */
  readonly locks: LocksFixture<Stores>
}

/**
 * vitest's `test` with real servers in its context: `sql`, a database made from the migrated template, and `redis`,
 * an empty database; both as the template has them at the start of every test, both the test's alone. Around them the
 * tools, bound to the test: see {@link TestFixtures}. What no test asks for is not started.
 *
 * @example
 * ```ts
 * const test = createTest({ sql: { migrate: (url) => runMigrations(url), migrations: "src/migrations" } })
 * test("sells ten of ten", async ({ sql, redis, race }) => {
 *   const shop = openShop(sql.url, redis.url)
 *   expectExactly(await race(50, () => shop.buy("lantern")), 10)
 * })
 * ```
 */
export function createTest(options: WithNone): TestAPI<TestFixtures<never>>
export function createTest(options: WithSql & { readonly redis: false }): TestAPI<TestFixtures<"sql">>
export function createTest(options: WithRedis & { readonly sql: false }): TestAPI<TestFixtures<"redis">>
export function createTest(options?: WithSql & WithRedis): TestAPI<TestFixtures>
// What the options leave out is undefined at run time, and missing in the types of the overloads.
export function createTest(options: TestOptions = {}): unknown {
  const { sql: sqlOptions = {}, redis: redisOptions = {}, source } = options
  return (
    test
      // oxlint-disable-next-line eslint/no-empty-pattern -- vitest reads the pattern to learn what a fixture needs
      .extend("lentSql", { scope: "file" }, async ({}, { onCleanup }) => {
        if (sqlOptions === false) return undefined
        const lent = await lendSql(sqlOptions, source, sqlOptions.isolation ?? "database")
        onCleanup(() => lent.giveBack())
        return lent
      })
      // oxlint-disable-next-line eslint/no-empty-pattern -- as above
      .extend("lentRedis", { scope: "file" }, async ({}, { onCleanup }) => {
        if (redisOptions === false) return undefined
        const lent = await lendRedis(redisOptions, source, redisOptions.isolation ?? "database")
        onCleanup(() => lent.giveBack())
        return lent
      })
      .extend("workerSql", { scope: "file" }, async ({ lentSql }, { onCleanup }) => {
        if (lentSql === undefined || sqlOptions === false) return undefined
        const databases = await workerDatabases(lentSql, sqlOptions)
        onCleanup(() => databases.drop())
        return databases
      })
      .extend("workerRedis", { scope: "file" }, ({ lentRedis }, { onCleanup }) => {
        if (lentRedis === undefined) return undefined
        const databases = workerRedis(lentRedis)
        onCleanup(() => databases.release())
        return databases
      })
      .extend("sql", async ({ workerSql, task }, { onCleanup }) => {
        const borrowed = await workerSql?.forTest()
        onCleanup(() => giveBackOrKeep(borrowed, task))
        return borrowed?.fixture
      })
      .extend("redis", async ({ workerRedis, task }, { onCleanup }) => {
        const borrowed = await workerRedis?.forTest()
        onCleanup(() => giveBackOrKeep(borrowed, task))
        return borrowed?.fixture
      })
      .extend("race", ({ task, signal }) => boundRace({ task, signal }))
      .extend("history", ({ task, annotate }, { onCleanup }) => {
        const { history, conclude } = historyFixture({ task, annotate })
        onCleanup(conclude)
        return history
      })
      .extend("evidence", ({ sql, redis }) => evidenceFixture({ sql, redis }))
      .extend("faults", async ({ sql, redis, lentSql, lentRedis, history, task }, { onCleanup }) => {
        const controls = { sql: lentSql?.controls, redis: lentRedis?.controls }
        const { faults, conclude } = await faultsFixture(
          { sql, redis },
          controls,
          history,
          options.faults ?? {}
        )
        onCleanup(() => conclude(task.result?.state === "fail"))
        return faults
      })
      .extend("locks", async ({ sql, redis, task }, { onCleanup }) => {
        const { locks, conclude } = await locksFixture({ sql, redis }, options.locks ?? {})
        onCleanup(() => conclude(task.result?.state === "fail"))
        return locks
      })
  )
}

type WithNone = TestOptions & { readonly sql: false; readonly redis: false }
type WithSql = TestOptions & { readonly sql?: Exclude<TestOptions["sql"], false> }
type WithRedis = TestOptions & { readonly redis?: Exclude<TestOptions["redis"], false> }
