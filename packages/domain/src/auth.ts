import { Schema, SchemaTransformation } from "effect"
import { domainError, Unauthenticated } from "./kernel/error.ts"
import { UserId } from "./kernel/ids.ts"
import { action, mutation, query } from "./kernel/procedure.ts"
import { normaliseEmail } from "./kernel/text.ts"
import { RequestInProgress } from "./locks/errors.ts"

/** What a user is allowed to do: `admin` may call the procedures of the group `admin`. */
export const Role = Schema.Literals(["user", "admin"])
export type Role = typeof Role.Type

/**
 * An e-mail address, normalised when it is decoded: `Ann@Example.com` and `ann@example.com ` are the same user. The
 * pattern is deliberately loose, because only a delivered message proves that an address exists.
 */
export const Email = Schema.String.check(Schema.isMaxLength(1024)).pipe(
  Schema.decodeTo(
    Schema.String.check(
      Schema.isMaxLength(254, { message: "must be at most 254 characters" }),
      Schema.isPattern(/^[^\s@,:\p{C}]+@[^\s@,:\p{C}]+\.[^\s@,:\p{C}]+$/u, {
        message: "must be an e-mail address"
      })
    ),
    SchemaTransformation.transform({ decode: normaliseEmail, encode: (email) => email })
  )
)

/** A new password: 8 to 256 characters. */
export const Password = Schema.String.check(
  Schema.isMinLength(8, { message: "must be at least 8 characters" }),
  Schema.isMaxLength(256, { message: "must be at most 256 characters" })
)

/** A registered user. */
export const User = Schema.Struct({
  id: UserId,
  email: Schema.String,
  role: Role,
  createdAt: Schema.DateFromString
})
export type User = typeof User.Type

/** The tokens of one login. The refresh token is exchanged for new tokens until `refreshExpiresAt`. */
export const Session = Schema.Struct({
  user: User,
  accessToken: Schema.String,
  accessExpiresAt: Schema.DateFromString,
  refreshToken: Schema.String,
  refreshExpiresAt: Schema.DateFromString
})
export type Session = typeof Session.Type

/** The e-mail and the password do not match. The error says no more, so that it reveals no registered address. */
export class InvalidCredentials extends domainError<InvalidCredentials>()(
  "InvalidCredentials",
  {},
  { code: "UNAUTHORIZED", message: () => "the e-mail or the password is wrong" }
) {}

/** A user with this e-mail address is already registered. */
export class EmailTaken extends domainError<EmailTaken>()(
  "EmailTaken",
  { email: Schema.String },
  { code: "CONFLICT", message: ({ email }) => `${email} is registered already` }
) {}

/** The procedures of the group `auth`. */
export const auth = {
  register: mutation({
    access: "public",
    batchable: false,
    summary: "Registers a user. The e-mail is normalised; the password is stored as an argon2id hash.",
    input: Schema.Struct({ email: Email, password: Password }),
    output: User,
    errors: [EmailTaken, RequestInProgress]
  }),
  login: action({
    access: "public",
    batchable: false,
    summary: "Verifies e-mail and password and issues an access token and a refresh token.",
    input: Schema.Struct({ email: Email, password: Schema.String.check(Schema.isMaxLength(256)) }),
    output: Session,
    errors: [InvalidCredentials]
  }),
  refresh: action({
    access: "public",
    batchable: false,
    summary: "Exchanges a refresh token for new tokens.",
    input: Schema.Struct({ refreshToken: Schema.String.check(Schema.isMaxLength(4096)) }),
    output: Session,
    errors: [Unauthenticated]
  }),
  me: query({
    access: "user",
    batchable: false,
    summary: "Returns the user that the access token belongs to.",
    input: Schema.Struct({}),
    output: User,
    errors: []
  })
}
