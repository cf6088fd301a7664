import { Schema } from "effect"

/** A schema of printable text of 1 to `maximumLength` characters, without control characters or outer blanks. */
export const plainText = (maximumLength: number) =>
  Schema.String.check(
    Schema.isMaxLength(maximumLength, { message: `must be at most ${maximumLength} characters` }),
    Schema.isPattern(/^\S(?:[^\p{Cc}]*\S)?$/u, { message: "must be printable text without outer blanks" })
  )

/** The canonical form of an e-mail address: NFKC, trimmed, lower case. Every spelling of an address has the same one. */
export const normaliseEmail = (email: string): string => email.normalize("NFKC").trim().toLowerCase()
