import { assertOptions } from "../internal/options.ts"
import * as vitest from "vitest"
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

/** The servers and tools of the tests. */
export interface TestOptions {
  /** The kind of SQL server and the template of its databases; `false` for none. */
  readonly sql?: (SqlOptions & TemplateOptions & IsolationOption) | false
  /** The kind of Redis server; `false` for none. */
  readonly redis?: (RedisOptions & IsolationOption) | false
  /** The sources to try when the services of the run (`serviceSetup`) do not match these options. */
  readonly source?: ReadonlyArray<Source>
  readonly faults?: FaultsOptions
  readonly locks?: LocksOptions
}

/** How much of a server the test file has to itself. */
export interface IsolationOption {
  /**
   * "database" (the default): a database of the run's server. "server": a server for this test file alone, which
   * publish/subscribe, commands that affect a whole server, `evidence`, freezing and killing need. A server of source
   * `url` is always shared.
   */
  readonly isolation?: Isolation
}

/** What `createTest` adds to a test's context. Fixtures that no test uses are not started. */
export type TestFixtures<Stores extends Store = Store> = Pick<
  { readonly sql: SqlFixture; readonly redis: RedisFixture },
  Stores
> & {
  /** Creates histories that are checked against a model. The timeline of a failing one is attached to the test. */
  readonly history: HistoryFixture
  /** Proxies in front of the test's databases that lose replies, delay, freeze and refuse. */
  readonly faults: Faults<Stores>
  /** What the servers have run since the test began: `await expect(evidence).toShow(...)`. */
  readonly evidence: LiveEvidence
  /** `race`, bound to the test's timeout. */
  readonly race: BoundRace
  /** Clients whose locks are observed. */
  readonly locks: LocksFixture<Stores>
}

/**
 * Returns vitest's `test` with real servers in its context: `sql`, a database made from the migrated template, and
 * `redis`, an empty database. Every test starts with both in their original state, and no other test uses them at the
 * same time. The context also has the tools, bound to the test: see {@link TestFixtures}.
 *
 * Throws `VitestTooOld` with vitest 3, where `startServices` and `databaseFactory` take the place of the fixtures.
 *
 * A test fails with the errors of `startServices` when no server can be had, and with `TemplateFailed` when the
 * migration fails.
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
// Omitted stores are undefined at run time, and missing from the types of the overloads.
export function createTest(options: TestOptions = {}): unknown {
  if (!("recordArtifact" in vitest)) throw new VitestTooOld()
  const names = { sql: true, redis: true, source: true, faults: true, locks: true } as const
  assertOptions("createTest", options, names)
  const ofServer = { kind: true, image: true, isolation: true } as const
  if (options.sql)
    assertOptions("createTest's sql", options.sql, {
      ...ofServer,
      migrate: true,
      seed: true,
      migrations: true
    })
  if (options.redis) assertOptions("createTest's redis", options.redis, { ...ofServer, persistent: true })
  return withStores(options)
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
}

/** vitest's `test` with the test's databases, on servers that the test file borrows or owns. */
const withStores = ({ sql: sqlOptions = {}, redis: redisOptions = {}, source }: TestOptions) =>
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

type WithNone = TestOptions & { readonly sql: false; readonly redis: false }
type WithSql = TestOptions & { readonly sql?: Exclude<TestOptions["sql"], false> }
type WithRedis = TestOptions & { readonly redis?: Exclude<TestOptions["redis"], false> }

/** The fixtures need vitest 4.1 or later. */
export class VitestTooOld extends Error {
  readonly _tag = "VitestTooOld"

  constructor() {
    super(
      "createTest needs vitest 4.1 or later. With an older one, use startServices and databaseFactory, as with node:test."
    )
    this.name = "VitestTooOld"
  }
}
