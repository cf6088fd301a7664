import { Schema, SchemaTransformation } from "effect"
import { EmailTaken, InvalidCredentials, Unauthenticated } from "../errors/access.ts"
import { UserId } from "../ids.ts"
import { RequestInProgress } from "../locks/errors.ts"
import { action, mutation, query } from "./procedure.ts"

export const Role = Schema.Literals(["user", "admin"])
export type Role = typeof Role.Type

/**
 * An e-mail address, normalised while it is decoded: trimmed, NFKC, lower case. So `Ann@Example.com` and
 * `ann@example.com ` are one person. The shape check is deliberately loose: only a message sent there proves more.
 */
export const Email = Schema.String.check(Schema.isMaxLength(1024)).pipe(
  Schema.decodeTo(
    Schema.String.check(
      Schema.isMaxLength(254, { message: "must be at most 254 characters" }),
      Schema.isPattern(/^[^\s@,:\p{C}]+@[^\s@,:\p{C}]+\.[^\s@,:\p{C}]+$/u, {
        message: "must be an e-mail address"
      })
    ),
    SchemaTransformation.transform({
      decode: (text) => text.normalize("NFKC").trim().toLowerCase(),
      encode: (email) => email
    })
  )
)

export const Password = Schema.String.check(
  Schema.isMinLength(8, { message: "must be at least 8 characters" }),
  Schema.isMaxLength(256, { message: "must be at most 256 characters" })
)

export const User = Schema.Struct({
  id: UserId,
  email: Schema.String,
  role: Role,
  createdAt: Schema.DateFromString
})
export type User = typeof User.Type

/** Tokens of one login. The refresh token makes new ones until `refreshExpiresAt`. */
export const Session = Schema.Struct({
  user: User,
  accessToken: Schema.String,
  accessExpiresAt: Schema.DateFromString,
  refreshToken: Schema.String,
  refreshExpiresAt: Schema.DateFromString
})
export type Session = typeof Session.Type

export const auth = {
  register: mutation({
    access: "public",
    summary: "Signs a user up. The e-mail is normalised; the password is stored as an argon2id hash.",
    input: Schema.Struct({ email: Email, password: Password }),
    output: User,
    errors: [EmailTaken, RequestInProgress]
  }),
  login: action({
    access: "public",
    summary: "Checks e-mail and password and makes an access token and a refresh token.",
    input: Schema.Struct({ email: Email, password: Schema.String.check(Schema.isMaxLength(256)) }),
    output: Session,
    errors: [InvalidCredentials]
  }),
  refresh: action({
    access: "public",
    summary: "Makes new tokens of a refresh token.",
    input: Schema.Struct({ refreshToken: Schema.String.check(Schema.isMaxLength(4096)) }),
    output: Session,
    errors: [Unauthenticated]
  }),
  me: query({
    access: "user",
    summary: "The user that the access token belongs to.",
    input: Schema.Struct({}),
    output: User,
    errors: []
  })
}
