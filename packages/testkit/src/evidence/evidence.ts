import { AssertionError } from "node:assert"
import { parseAddress, type ServerAddress } from "./address.ts"
import { type ExpectedEvidence, missingEvidence, type Watched } from "./expectation.ts"
import { ownRedisCommands, redisSnapshot } from "./redis-snapshot.ts"
import { compareSnapshots, type ServerEvidence, type Snapshot } from "./snapshot.ts"
import { ownSqlCommands, sqlSnapshot } from "./sql-snapshot.ts"

/** The servers to observe. */
export interface EvidenceTargets {
  readonly redis?: ServerAddress
  readonly sql?: ServerAddress
}

/** What the servers counted while some code ran. */
export interface Evidence<A = undefined> extends Watched {
  readonly redis?: ServerEvidence
  readonly sql?: ServerEvidence
  /** What the code returned. */
  readonly value: A
  /**
   * Fails when a server did not run the expected commands: the code under test talked to something else, for example a
   * fake.
   *
   * @throws AssertionError
   */
  toShow(expected: ExpectedEvidence): void
}

/** Reads the servers' counters around code. */
export interface EvidenceWatch {
  /** Reads the counters before and after `fn`. Rejects with the error of `fn`. */
  around<A>(fn: () => A | PromiseLike<A>): Promise<Evidence<A>>
  /** Reads the counters now, to compare them with later readings. For hooks and fixtures. */
  start(): Promise<LiveEvidence>
}

/** Evidence that is still being collected. `await expect(live).toShow(...)` of `@holdfast/testkit/vitest` reads it. */
export interface LiveEvidence {
  /** What the servers have counted since the start. May be called repeatedly. */
  read(): Promise<Evidence>
}

/**
 * Proves from the servers' own counters that the code under test used them: their identity, and how often each ran
 * which command. The counters cover a whole server, not a connection, so the test needs servers of its own.
 *
 * @throws Error (rejection of `around`, `start` and `read`) when a server does not answer within five seconds
 */
export const evidence = (targets: EvidenceTargets): EvidenceWatch => {
  const start = async (): Promise<LiveEvidence> => {
    const before = await readAll(targets)
    let readings = 0
    return { read: async () => conclude(targets, before, await readAll(targets), ++readings, undefined) }
  }
  return {
    start,
    around: async (fn) => {
      const before = await readAll(targets)
      const value = await fn()
      return conclude(targets, before, await readAll(targets), 1, value)
    }
  }
}

interface Snapshots {
  readonly redis: Snapshot | undefined
  readonly sql: Snapshot | undefined
}

const readAll = async (targets: EvidenceTargets): Promise<Snapshots> => {
  const [redis, sql] = await Promise.all([
    targets.redis === undefined ? undefined : redisSnapshot(parseAddress(targets.redis)),
    targets.sql === undefined ? undefined : sqlSnapshot(parseAddress(targets.sql))
  ])
  return { redis, sql }
}

const conclude = <A>(
  targets: EvidenceTargets,
  before: Snapshots,
  after: Snapshots,
  readings: number,
  value: A
): Evidence<A> => {
  const watched: { redis?: ServerEvidence; sql?: ServerEvidence } = {}
  if (targets.redis !== undefined && before.redis !== undefined && after.redis !== undefined) {
    const own = times(readings, ownRedisCommands(parseAddress(targets.redis)))
    watched.redis = compareSnapshots(before.redis, after.redis, own)
  }
  if (before.sql !== undefined && after.sql !== undefined)
    watched.sql = compareSnapshots(before.sql, after.sql, times(readings, ownSqlCommands))
  const toShow = (expected: ExpectedEvidence) => assertShows(watched, expected)
  return { ...watched, value, toShow }
}

/** What the readings themselves add to the counters. */
const times = (readings: number, own: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(own).map(([name, count]) => [name, readings * count]))

/** The message that `toShow` fails with, or undefined when all expected commands ran. */
export const explainMissing = (watched: Watched, expected: ExpectedEvidence): string | undefined => {
  const missing = missingEvidence(watched, expected)
  if (missing.length === 0) return undefined
  return [
    "the servers do not show what was expected (code that talks to a fake leaves no trace on the server):",
    ...missing.map((line) => `  ${line}`)
  ].join("\n")
}

const assertShows = (watched: Watched, expected: ExpectedEvidence): void => {
  const message = explainMissing(watched, expected)
  if (message === undefined) return
  const actual = { redis: watched.redis?.commands, sql: watched.sql?.commands }
  throw new AssertionError({ message, actual, expected, operator: "toShow" })
}
