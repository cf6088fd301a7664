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
  /** Identifies the user. */
  id: UserId,
  /** The normalised e-mail address. */
  email: Schema.String,
  /** What the user is allowed to do. */
  role: Role,
  /** When the user registered. */
  createdAt: Moment
}).annotate({ identifier: "User" })
export type User = typeof User.Type

/**
 * The tokens of one login. The refresh token is exchanged once for new tokens, until `refreshExpiresAt`: then the user
 * logs in again.
 */
export const Session = Schema.Struct({
  /** Who is logged in. */
  user: User,
  /** Goes with every request, as `authorization: Bearer`. */
  accessToken: Schema.String,
  /** Until when the access token is accepted. */
  accessExpiresAt: Moment,
  /** Is exchanged once for new tokens. */
  refreshToken: Schema.String,
  /** Until when the refresh token is accepted. Then the user logs in again. */
  refreshExpiresAt: Moment
}).annotate({
  identifier: "Session"
})
export type Session = typeof Session.Type

/** A login that has neither ended nor expired, as its user sees it. */
export const OpenSession = Schema.Struct({
  /** Identifies the session. */
  id: SessionId,
  /** When the user logged in. */
  createdAt: Moment,
  /** When its tokens were issued last. */
  lastUsedAt: Moment,
  /** When the session ends by itself. */
  expiresAt: Moment,
  /** The address and the program that the tokens were issued to last. */
  address: Schema.String,
  /** The program that the tokens were issued to last. */
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
  {
    /** The normalised address. */
    email: Schema.String
  },
  { code: "CONFLICT", message: ({ email }) => `${email} is registered already` }
) {}

/** The caller has no session with this id. */
export class SessionNotFound extends domainError<SessionNotFound>()(
  "SessionNotFound",
  {
    /** The id that was asked for. */
    sessionId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ sessionId }) => `there is no session ${sessionId}` }
) {}

/** The procedures of the group `auth`. */
export const auth = {
  /** Registers a user. The e-mail is normalised; the password is stored as an argon2id hash. */
  register: mutation({
    access: "public",
    batchable: false,
    rate: "sign-ups",
    input: Schema.Struct({
      /** The address to log in with. */
      email: Email,
      /** 8 to 256 characters, and none that guessers try first. */
      password: Password
    }),
    output: User,
    errors: [EmailTaken, RequestInProgress]
  }),
  /** Verifies e-mail and password and issues an access token and a refresh token. */
  login: action({
    access: "public",
    batchable: false,
    input: Schema.Struct({
      /** The address that was registered. */
      email: Email,
      /** The user's password. */
      password: GivenPassword
    }),
    output: Session,
    errors: [InvalidCredentials]
  }),
  /**
   * Exchanges a refresh token for new tokens. Used again after a few seconds, it ends its session: one of its two users
   * has stolen it.
   */
  refresh: action({
    access: "public",
    batchable: false,
    input: Schema.Struct({
      /** The refresh token of the session. */
      refreshToken: Schema.String.check(Schema.isMaxLength(4096))
    }),
    output: Session,
    errors: [Unauthenticated]
  }),
  /** Returns the user that the access token belongs to. */
  me: query({
    access: "user",
    batchable: false,
    input: Schema.Struct({}),
    output: User,
    errors: []
  }),
  /** Ends the session of the access token. Its tokens are refused within seconds. */
  logout: action({
    access: "user",
    batchable: false,
    input: Schema.Struct({}),
    output: Schema.Struct({}),
    errors: []
  }),
  /** Returns a page of the caller's open sessions, newest first. */
  sessions: query({
    access: "user",
    batchable: false,
    input: Schema.Struct(pageInput),
    output: pageOf(OpenSession),
    errors: []
  }),
  /** Ends a session of the caller, and changes nothing when it has ended. */
  revokeSession: action({
    access: "user",
    batchable: false,
    input: Schema.Struct({
      /** The session to end. */
      sessionId: SessionId
    }),
    output: Schema.Struct({}),
    errors: [SessionNotFound]
  }),
  /** Changes the caller's password and ends all their other sessions. */
  changePassword: mutation({
    access: "user",
    batchable: false,
    input: Schema.Struct({
      /** The password until now. */
      currentPassword: GivenPassword,
      /** 8 to 256 characters, and none that guessers try first. */
      newPassword: Password
    }),
    output: Schema.Struct({}),
    errors: [InvalidCredentials]
  })
}
