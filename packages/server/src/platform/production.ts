import { secretOf } from "./settings.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** Settings that hold secrets, one a line. */
const SECRETS = [
  "HOLDFAST_SECRET",
  "HOLDFAST_ACCEPTED_SECRETS",
  "HOLDFAST_WEBHOOK_SECRET",
  "HOLDFAST_WEBHOOK_FORMER_SECRETS"
] as const

/** Words that people put into the place of a secret, and examples do. A random text holds none of them. */
const PLACEHOLDER = /secret|change.?me|password|example|placeholder|holdfast|default|0123456789|abcdefgh/i

/** A random text of 16 hexadecimal digits nearly always has more different ones. */
const LEAST_CHARACTERS = 6

/** OWASP's least memory of an argon2id hash, in KiB: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const LEAST_MEMORY_KIB = 7_168

/**
 * What is fit for a try-out alone and refused when `NODE_ENV` is `production`: secrets that others know or guess, hashes
 * that are cheap to reverse. Each fault names its variable, none a value.
 */
export const dangersOf = (environment: Environment): ReadonlyArray<string> => {
  if (environment["NODE_ENV"] !== "production") return []
  const secrets = SECRETS.filter((name) => linesOf(name, environment).some(isGuessable)).map(
    (name) =>
      `${name} can be guessed, which production does not allow; make one by \`openssl rand -base64 32\``
  )
  const memoryKib = Number(environment["HOLDFAST_ARGON2_MEMORY_KIB"] ?? LEAST_MEMORY_KIB)
  return memoryKib < LEAST_MEMORY_KIB
    ? [...secrets, `HOLDFAST_ARGON2_MEMORY_KIB must be at least ${LEAST_MEMORY_KIB} in production`]
    : secrets
}

const linesOf = (name: string, environment: Environment): ReadonlyArray<string> => {
  try {
    return (secretOf(name, environment) ?? "").split(/\r?\n/).filter((line) => line !== "")
  } catch {
    // A file that cannot be read is a fault of its own.
    return []
  }
}

/** Too few different characters, a short text repeated, or a word that stands in the place of a secret. */
const isGuessable = (secret: string): boolean =>
  new Set(secret.trim()).size < LEAST_CHARACTERS || /^(.{1,16})\1+$/s.test(secret) || PLACEHOLDER.test(secret)
