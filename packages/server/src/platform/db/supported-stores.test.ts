import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { databaseVersionOf, redisVersionOf, requireSupported, type StoreVersion } from "./supported-stores.ts"

const verdictOf = (found: StoreVersion) =>
  Effect.runPromise(
    requireSupported(found).pipe(
      Effect.as("supported"),
      Effect.catch(({ message }) => Effect.succeed(message))
    )
  )

describe("the version of a store", () => {
  test.each([
    ["9.7.0", "supported"],
    ["8.4.6-commercial", "supported"],
    ["8.0.36-0ubuntu0.22.04.1", "MySQL 8.0.36 is too old; Holdfast needs MySQL 8.4 or newer"],
    ["11.8.3-MariaDB-ubu2404", "supported"],
    ["10.11.6-MariaDB-0+deb12u1", "supported"],
    ["5.5.5-10.11.6-MariaDB-log", "supported"],
    ["10.6.18-MariaDB", "MariaDB 10.6.18 is too old; Holdfast needs MariaDB 10.11 or newer"],
    ["something else", "supported"]
  ])("database %s: %s", async (text, verdict) => {
    expect(await verdictOf(databaseVersionOf(text))).toBe(verdict)
  })

  test.each([
    ["# Server\r\nredis_version:8.2.1\r\nredis_mode:standalone\r\n", "supported"],
    ["# Server\r\nredis_version:7.0.15\r\n", "supported"],
    ["# Server\r\nredis_version:6.0.16\r\n", "Redis 6.0.16 is too old; Holdfast needs Redis 7.0 or newer"],
    ["# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.3\r\n", "supported"],
    ["", "supported"]
  ])("Redis %j: %s", async (info, verdict) => {
    expect(await verdictOf(redisVersionOf(info))).toBe(verdict)
  })
})
