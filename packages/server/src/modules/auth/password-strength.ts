import { InvalidInput } from "@holdfast/domain"
import { dictionary } from "@zxcvbn-ts/language-common"
import { Effect } from "effect"

/** The passwords that leaks contain most often, in lower case. */
const COMMON: ReadonlySet<unknown> = new Set(dictionary["passwords-common"])

/** What is left without a part that strangers know has to be as long as this. */
const OWN_CHARACTERS = 6
/** Shorter parts of addresses are in many words. */
const SHORTEST_NAME = 4

/**
 * Fails with `InvalidInput` for a password that guessers try first (OWASP ASVS 2.1.7): one of the most used ones, also with
 * digits and signs around it, a repetition, a sequence, or the user's own address.
 * @param field the path of the password in the input
 */
export const requireStrength = (
  field: string,
  password: string,
  email: string
): Effect.Effect<void, InvalidInput> => {
  const message = weaknessOf(password.toLowerCase(), email)
  return message === undefined
    ? Effect.void
    : Effect.fail(new InvalidInput({ issues: [{ path: field, message }] }))
}

const weaknessOf = (password: string, email: string): string | undefined => {
  const name = email.split("@", 1)[0]!
  if (COMMON.has(password) || isDecorated(password)) return "must not be one of the most used passwords"
  if (/^(.{1,4}?)\1+.{0,3}$/su.test(password)) return "must not repeat a few characters"
  if (isSequence(password)) return "must not be a sequence of characters"
  const rest = name.length < SHORTEST_NAME ? password : password.replaceAll(name, "")
  if (rest !== password && rest.length < OWN_CHARACTERS) return "must not be the e-mail address"
  return undefined
}

/** `Summer2026!` is `summer` to a guesser. */
const isDecorated = (password: string): boolean => {
  const word = password.replace(/^[^a-z]+/, "").replace(/[^a-z]+$/, "")
  return password.length - word.length < OWN_CHARACTERS && word !== password && COMMON.has(word)
}

/** Each character is the one after, or before, the last. */
const isSequence = (password: string): boolean => {
  const codes = Array.from({ length: password.length }, (_, n) => password.charCodeAt(n))
  const steps = new Set(codes.slice(1).map((code, n) => code - codes.at(n)!))
  return steps.size === 1 && (steps.has(1) || steps.has(-1))
}
