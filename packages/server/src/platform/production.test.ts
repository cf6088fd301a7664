import { randomBytes } from "node:crypto"
import { expect, test } from "vitest"
import { dangersOf } from "./production.ts"

const good = randomBytes(32).toString("base64")
const dangers = (environment: Record<string, string>) => dangersOf({ NODE_ENV: "production", ...environment })

test.each([
  "a".repeat(40),
  " ".repeat(40),
  "abcabcabcabcabcabcabcabcabcabcabcabc",
  "changemechangemechangemechangemechangeme",
  "please-change-me-please-do-it-right-now",
  "a secret of the tests, 32 characters",
  "0123456789abcdef0123456789abcdef",
  "kq8vzr2pkq8vzr2pkq8vzr2pkq8vzr2p"
])("production refuses the secret %j by the name of its variable, and does not repeat it", (secret) => {
  for (const name of [
    "HOLDFAST_SECRET",
    "HOLDFAST_ACCEPTED_SECRETS",
    "HOLDFAST_WEBHOOK_SECRET",
    "HOLDFAST_WEBHOOK_FORMER_SECRETS"
  ]) {
    const faults = dangers({ HOLDFAST_SECRET: good, [name]: secret })
    expect(faults).toEqual([expect.stringMatching(`^${name} can be guessed`)])
    expect(faults[0]).not.toContain(secret)
  }
  expect(dangersOf({ HOLDFAST_SECRET: secret })).toEqual([])
})

test("production refuses one guessable secret among several, and hashes that cost too little", () => {
  expect(dangers({ HOLDFAST_ACCEPTED_SECRETS: `${good}\n${"x".repeat(32)}\n` })).toHaveLength(1)
  expect(dangers({ HOLDFAST_ARGON2_MEMORY_KIB: "8" })).toEqual([
    "HOLDFAST_ARGON2_MEMORY_KIB must be at least 7168 in production"
  ])
})

test("random secrets are good, in base64 as in hexadecimal digits", () => {
  for (let n = 0; n < 2_000; n += 1)
    for (const encoding of ["base64", "base64url", "hex"] as const)
      expect(dangers({ HOLDFAST_SECRET: randomBytes(32).toString(encoding) })).toEqual([])
})
