import type { SessionId, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { appendToAuditTrail } from "../../platform/audit-trail/audit-trail.ts"
import { inTransaction } from "../../platform/db/transaction.ts"
import type { ExhaustedAttempts } from "./login-attempts.ts"

/** A change of what a user, or somebody with their tokens, may do. */
interface SecurityEvent {
  readonly kind:
    | "login"
    | "logout"
    | "refresh token reused"
    | "session revoked"
    | "password changed"
    | "administrator created"
    | "role granted"
    | "role taken"
    | "user blocked"
    | "user unblocked"
  readonly userId: UserId
  /** The session that begins, ends or stays. */
  readonly sessionId?: SessionId
  readonly address?: string
}

/** What the users do themselves. A stolen token has no known owner, and the command line no account. */
const OWN: ReadonlySet<SecurityEvent["kind"]> = new Set([
  "login",
  "logout",
  "session revoked",
  "password changed"
])

/**
 * Adds an event to the audit trail, in the open transaction that makes it and after its other locks, and reports it to the
 * log. Every change of a user's access passes here. Neither gets the e-mail or a token.
 */
export const recordSecurityEvent = ({ kind, userId, ...event }: SecurityEvent) =>
  Effect.andThen(
    appendToAuditTrail([
      {
        kind: "security",
        procedure: kind,
        subject: `user:${userId}`,
        actorId: OWN.has(kind) ? userId : undefined,
        ...event
      }
    ]),
    Effect.logInfo(`security: ${kind}`, { userId, ...event })
  )

/**
 * Counts refused logins in the audit trail, in a transaction of its own, when wrong passwords have used up a bound. Strangers
 * cause refused logins at will: an entry for each would let them fill the trail, and one for each bound costs them ten or a
 * hundred compared passwords. An unknown e-mail has an entry, too, so that the time of the answer tells nothing.
 */
export const recordRefusedLogins = (
  userId: UserId | undefined,
  address: string,
  { limit, refused, windowMs }: ExhaustedAttempts
) => {
  const subject =
    limit === "wrong-passwords-of-address" ? `address:${address}` : `user:${userId ?? "unknown"}`
  return Effect.andThen(
    inTransaction(
      appendToAuditTrail([
        {
          kind: "security",
          procedure: "logins refused",
          subject,
          address,
          after: { limit, refused, withinMs: windowMs }
        }
      ])
    ),
    Effect.logWarning("security: logins refused", { subject, address, limit, refused })
  )
}

/**
 * Reports a login that was refused, to the log alone; {@link recordRefusedLogins} counts them.
 * @param userId `undefined` where nobody has the e-mail
 */
export const reportRefusedLogin = (userId: UserId | undefined, address: string): Effect.Effect<void> =>
  Effect.logInfo("security: login refused", { userId, address })
