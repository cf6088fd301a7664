import * as Schema from "effect/Schema"
import { domainError, Unauthenticated } from "./kernel/error.ts"
import { SessionId, UserId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { action, mutation, query } from "./kernel/procedure.ts"
import { acceptablePassword, normalisedText, visibleEmail } from "./kernel/text.ts"
import { RequestInProgress } from "./locks/errors.ts"

/** What a user is allowed to do: `admin` may call the procedures of the group `admin`. */
export const Role = Schema.Literals(["user", "admin"])
export type Role = typeof Role.Type

const EMAIL = "must be an e-mail address"

/**
 * An e-mail address, normalised when it is decoded: `Ann@Example.com` and `ann@example.com ` are the same user, and so
 * are the two spellings of `ann@bücher.example`. The pattern of the local part is deliberately loose, because only a
 * delivered message proves that an address exists.
 */
export const Email = normalisedText(
  Schema.String.check(
    Schema.isMaxLength(254, { message: "must be at most 254 characters" }),
    Schema.isPattern(
      /^[^\s@,:\p{C}\p{DI}]+@(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/u,
      { message: EMAIL }
    )
  ),
  visibleEmail,
  EMAIL
)

/** A new password: 8 to 256 characters in the form in which it is hashed, without control or invisible characters. */
export const Password = normalisedText(
  Schema.String.check(
    Schema.isMinLength(8, { message: "must be at least 8 characters" }),
    Schema.isMaxLength(256, { message: "must be at most 256 characters" })
  ),
  acceptablePassword,
  "must be text without control, invisible or unassigned characters (RFC 8265)"
)

/** A password to compare: any text, because passwords from before {@link Password} was this strict remain valid. */
const GivenPassword = Schema.String.check(
  Schema.isMaxLength(1024, { message: "must be at most 1024 characters" }),
  Schema.makeFilter((text: string) => text.isWellFormed(), { message: "must be well-formed Unicode text" })
)

/** A registered user. */
export const User = Schema.Struct({
  id: UserId,
  email: Schema.String,
  role: Role,
  createdAt: Moment
}).annotate({ identifier: "User", description: "A registered user." })
export type User = typeof User.Type

/**
 * The tokens of one login. The refresh token is exchanged once for new tokens, until `refreshExpiresAt`: then the user
 * logs in again.
 */
export const Session = Schema.Struct({
  user: User,
  accessToken: Schema.String,
  accessExpiresAt: Moment,
  refreshToken: Schema.String,
  refreshExpiresAt: Moment
}).annotate({
  identifier: "Session",
  description:
    "The tokens of one login. The refresh token is exchanged for new tokens until `refreshExpiresAt`."
})
export type Session = typeof Session.Type

/** A login that has neither ended nor expired, as its user sees it. */
export const OpenSession = Schema.Struct({
  id: SessionId,
  createdAt: Moment,
  /** When its tokens were issued last. */
  lastUsedAt: Moment,
  expiresAt: Moment,
  /** The address and the program that the tokens were issued to last. */
  address: Schema.String,
  userAgent: Schema.String,
  /** Whether the call was made with a token of this session. */
  isCurrent: Schema.Boolean
})
export type OpenSession = typeof OpenSession.Type

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

/** The caller has no session with this id. */
export class SessionNotFound extends domainError<SessionNotFound>()(
  "SessionNotFound",
  { sessionId: Schema.String },
  { code: "NOT_FOUND", message: ({ sessionId }) => `there is no session ${sessionId}` }
) {}

/** The procedures of the group `auth`. */
export const auth = {
  register: mutation({
    access: "public",
    batchable: false,
    rate: "sign-ups",
    summary: "Registers a user. The e-mail is normalised; the password is stored as an argon2id hash.",
    input: Schema.Struct({ email: Email, password: Password }),
    output: User,
    errors: [EmailTaken, RequestInProgress]
  }),
  login: action({
    access: "public",
    batchable: false,
    summary: "Verifies e-mail and password and issues an access token and a refresh token.",
    input: Schema.Struct({ email: Email, password: GivenPassword }),
    output: Session,
    errors: [InvalidCredentials]
  }),
  refresh: action({
    access: "public",
    batchable: false,
    summary:
      "Exchanges a refresh token for new tokens. Used again after a few seconds, it ends its session: one of its two users has stolen it.",
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
  }),
  logout: action({
    access: "user",
    batchable: false,
    summary: "Ends the session of the access token. Its tokens are refused within seconds.",
    input: Schema.Struct({}),
    output: Schema.Struct({}),
    errors: []
  }),
  sessions: query({
    access: "user",
    batchable: false,
    summary: "Returns a page of the caller's open sessions, newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(OpenSession),
    errors: []
  }),
  revokeSession: action({
    access: "user",
    batchable: false,
    summary: "Ends a session of the caller, and changes nothing when it has ended.",
    input: Schema.Struct({ sessionId: SessionId }),
    output: Schema.Struct({}),
    errors: [SessionNotFound]
  }),
  changePassword: mutation({
    access: "user",
    batchable: false,
    summary: "Changes the caller's password and ends all their other sessions.",
    input: Schema.Struct({ currentPassword: GivenPassword, newPassword: Password }),
    output: Schema.Struct({}),
    errors: [InvalidCredentials]
  })
}
