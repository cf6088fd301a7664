import { AssertionError } from "node:assert"
import { parseAddress, type ServerAddress } from "./address.ts"
import { type ExpectedEvidence, missingEvidence, type Watched } from "./expectation.ts"
import { ownRedisCommands, redisSnapshot } from "./redis-snapshot.ts"
import { compareSnapshots, type ServerEvidence, type Snapshot } from "./snapshot.ts"
import { ownSqlCommands, sqlSnapshot } from "./sql-snapshot.ts"

export interface EvidenceTargets {
  readonly redis?: ServerAddress
  readonly sql?: ServerAddress
}

/** What the servers themselves counted while some code ran. */
export interface Evidence<A = undefined> extends Watched {
  readonly redis?: ServerEvidence
  readonly sql?: ServerEvidence
  /** What the code answered. */
  readonly value: A
  /**
   * Fails when a server did not run the commands that are expected: then the code under test talked to something
   * else, a fake for instance.
   *
   * @throws AssertionError
   */
  toShow(expected: ExpectedEvidence): void
}

export interface EvidenceWatch {
  /** Reads the counters before and after `fn`. Its error passes through. */
  around<A>(fn: () => A | PromiseLike<A>): Promise<Evidence<A>>
  /** For hooks: reads the counters now; `stop()` reads them again. */
  start(): Promise<{ stop(): Promise<Evidence> }>
}

/**
 * Proof that the real server was used, told by the server: its identity and how often it ran which command. The
 * counters are the server's, not a connection's: give a test a server of its own, or use `atLeast`.
 */
export const evidence = (targets: EvidenceTargets): EvidenceWatch => {
  const start = async () => {
    const before = await readAll(targets)
    return { stop: async () => conclude(targets, before, await readAll(targets), undefined) }
  }
  return {
    start,
    around: async (fn) => {
      const before = await readAll(targets)
      const value = await fn()
      return conclude(targets, before, await readAll(targets), value)
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
  value: A
): Evidence<A> => {
  const watched: { redis?: ServerEvidence; sql?: ServerEvidence } = {}
  if (targets.redis !== undefined && before.redis !== undefined && after.redis !== undefined)
    watched.redis = compareSnapshots(before.redis, after.redis, ownRedisCommands(parseAddress(targets.redis)))
  if (before.sql !== undefined && after.sql !== undefined)
    watched.sql = compareSnapshots(before.sql, after.sql, ownSqlCommands)
  const toShow = (expected: ExpectedEvidence) => assertShows(watched, expected)
  return { ...watched, value, toShow }
}

/** The sentence that `toShow` fails with, or undefined when everything is shown. */
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
