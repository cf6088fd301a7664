import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/**
 * Decodes text to its one form, so that every spelling of it is the same value to locks, fingerprints and database.
 * @param form what a decoded text fulfils
 * @param normalise returns the form; `undefined` refuses the text with the message
 */
export const normalisedText = <Form extends Schema.Codec<string, string>>(
  form: Form,
  normalise: (text: string) => string | undefined,
  message: string
) =>
  Schema.String.check(Schema.isMaxLength(LONGEST_SPELLING, { description: message })).pipe(
    Schema.decodeTo(
      form,
      SchemaTransformation.transformEffect<string, string>({
        decode: (text, options) => {
          const normalised = text.isWellFormed() ? normalise(text) : undefined
          return normalised === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
            : Effect.succeed(normalised)
        },
        encode: (text) => Effect.succeed(text)
      })
    )
  )

/** Bounds the work of normalising. Decomposed spellings of texts that fit are shorter. */
const LONGEST_SPELLING = 1024

/** What Unicode calls default-ignorable has no width: joiners, soft hyphens, byte order marks, variation selectors. */
const INVISIBLE = /[\p{C}\p{DI}]/u
const ONLY_INVISIBLE = /^[\p{C}\p{DI}\p{Z}]*$/u

/**
 * A schema of printable text of 1 to `maximumLength` characters on one line, in NFC, without control characters or outer
 * blanks. Joiners and direction marks belong to some scripts and are kept, but text of nothing else is refused.
 */
export const plainText = (maximumLength: number) =>
  normalisedText(
    Schema.String.check(
      Schema.isMaxLength(maximumLength, { message: `must be at most ${maximumLength} characters` }),
      Schema.isPattern(/^\S(?:[^\p{Cc}\p{Zl}\p{Zp}]*\S)?$/u, { message: PRINTABLE })
    ),
    (text) => (ONLY_INVISIBLE.test(text) ? undefined : text.normalize("NFC")),
    PRINTABLE
  )

const PRINTABLE = "must be printable text without outer blanks"

/** The canonical form of a SKU: NFC, every blank an ASCII space. `undefined` for one with invisible characters. */
export const normaliseSku = (sku: string): string | undefined => {
  if (PLAIN.test(sku)) return sku
  return INVISIBLE.test(sku) ? undefined : sku.normalize("NFC").replaceAll(/\p{Z}/gu, " ")
}

/** Printable ASCII is its own normal form. */
const PLAIN = /^[ -~]*$/

/**
 * The canonical form of an e-mail address: the local part in NFKC and lower case, the domain as IDNA writes it in ASCII
 * (UTS 46), without outer blanks. Every spelling of an address has the same one.
 */
export const normaliseEmail = (email: string): string => {
  const address = email.normalize("NFKC").trim()
  const at = address.lastIndexOf("@")
  const local = address.slice(0, Math.max(at, 0)).toLowerCase().normalize("NFKC")
  return at === -1 ? address.toLowerCase() : `${local}@${asciiDomain(address.slice(at + 1))}`
}

/** The canonical form of an address without invisible characters; else `undefined`. */
export const visibleEmail = (email: string): string | undefined =>
  INVISIBLE.test(email.trim()) ? undefined : normaliseEmail(email)

/** The part of the web's URL that the domain uses; Node and browsers have it. */
const { URL } = globalThis as unknown as {
  readonly URL: {
    new (url: string): { readonly hostname: string }
    canParse(url: string): boolean
  }
}

/** A domain that is none stays as it is; the pattern of an address refuses it. */
const asciiDomain = (domain: string): string => {
  const host = domain.replace(/\.$/, "")
  const isHost = !/[\0-,/:-@[-^`{-\x7f]/.test(host) && URL.canParse(`http://${host}`)
  return isHost ? new URL(`http://${host}`).hostname : host.toLowerCase()
}

/**
 * The form in which a password is hashed: PRECIS OpaqueString (RFC 8265, section 4.2), which is NFC with every blank an
 * ASCII space. It is total, so that passwords from before this rule can be compared, too.
 */
export const normalisePassword = (password: string): string =>
  password.replaceAll(/\p{Zs}/gu, " ").normalize("NFC")

/** What PRECIS' FreeformClass refuses (RFC 8264, section 4.3): controls, unassigned, ignorable, old Hangul jamo. */
const REFUSED_IN_PASSWORDS = /[\p{Cc}\p{Cn}\p{Cs}\p{Co}\p{DI}\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB]/u

/** The normalised form of a password that PRECIS accepts; else `undefined`. */
export const acceptablePassword = (password: string): string | undefined => {
  const normalised = normalisePassword(password)
  return REFUSED_IN_PASSWORDS.test(normalised) ? undefined : normalised
}

/**
 * The form in which text is searched: NFKC and case-folded, without accents and invisible characters. What is stored and
 * what is asked for go through this same function.
 */
export const searchForm = (text: string): string =>
  text
    .normalize("NFKD")
    .replaceAll(/[\u0300-\u036F\p{DI}]/gu, "")
    // There and back folds what has several letters in one case: a sharp s, a final sigma.
    .toUpperCase()
    .toLowerCase()
    .replaceAll("ς", "σ")
    .normalize("NFKC")

/** The words of a search, in the form in which they are compared. */
export const searchWords = (text: string): ReadonlyArray<string> =>
  searchForm(text)
    .split(/\s+/u)
    .filter((word) => word !== "")
