import { Redacted } from "effect"
import type { ServerSettings } from "../src/config.ts"
import type { HttpSettings, RateSettings } from "../src/platform/config.ts"

export const TEST_SECRET = "a secret of the tests, 32 characters"

/** What the process of a command gets from this one: where programs are, and its compiled sources. */
export const commandEnvironment = Object.fromEntries(
  ["PATH", "NODE_COMPILE_CACHE"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
)

/** The callers share the processor with the server here, and bring more work than one process should take on. */
export const testHttpSettings: HttpSettings = {
  maximumConnections: 5_000,
  maximumInFlight: 100_000,
  maximumDelayMs: 60_000,
  receiveMs: 15_000,
  stillMs: 45_000,
  trustedProxies: undefined,
  origins: "any",
  hasApiReference: true
}

const UNLIMITED = 1_000_000_000

/** All callers of the tests come from one address, as fast as they can. */
export const testRates: RateSettings = {
  readsPerMinute: UNLIMITED,
  writesPerMinute: UNLIMITED,
  subscriptionsPerMinute: UNLIMITED,
  addressPerMinute: UNLIMITED,
  signUpsPerHour: UNLIMITED
}

/** Settings for tests: the cheapest argon2 hashes, no cache and no jobs; everything else as in production. */
export const testSettings = (
  mysqlUrl: string,
  redisUrl: string,
  overrides: Partial<ServerSettings> = {}
): ServerSettings => ({
  mysqlUrl: Redacted.make(mysqlUrl),
  redisUrl: Redacted.make(redisUrl),
  host: "127.0.0.1",
  port: 0,
  secret: Redacted.make(TEST_SECRET),
  acceptedSecrets: [],
  accessTokenMs: 3_600_000,
  sessionMs: { user: 7_200_000, admin: 7_200_000 },
  databaseConnections: 16,
  databaseWaitMs: 10_000,
  argon2: { memoryKib: 8, iterations: 1 },
  hashing: { waiting: 100_000, waitingOfOne: 100_000 },
  logins: { wrongPasswords: UNLIMITED, wrongPasswordsOfAddress: UNLIMITED, windowMs: 900_000 },
  orders: { maximumLines: 2_000, maximumQuantity: 100_000, expiresAfterMs: 600_000 },
  maximumUnpaid: { orders: UNLIMITED, units: UNLIMITED },
  cancellation: { paidWithinMs: 3_600_000 },
  charges: { isOn: true, minimum: 1_000, maximum: 1_000_000, step: 1_000, perDay: 3, perMonth: 10 },
  webhook: undefined,
  retentionMs: 604_800_000,
  // Tests change rows by plain SQL, which invalidates nothing.
  cache: undefined,
  maximumSubscriptions: 1_000,
  maximumSubscriptionsPerCaller: 1_000,
  http: testHttpSettings,
  metrics: { port: undefined, token: undefined },
  tracesUrl: undefined,
  slowStatementMs: 60_000,
  logLevel: "Info",
  rates: testRates,
  // Most tests observe a state before a job changes it; the others turn jobs on, or run one by `runJob`.
  workers: false,
  migrateAtStart: true,
  startWaitMs: 0,
  drainMs: 0,
  shutdownMs: 5_000,
  ...overrides
})
