import type { SessionId, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { appendToAuditTrail } from "../../platform/audit-trail/audit-trail.ts"

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
 * Reports a login that was refused, to the log alone: strangers cause it at will, and must not fill the audit trail.
 * @param userId `undefined` where nobody has the e-mail
 */
export const reportRefusedLogin = (userId: UserId | undefined, address: string): Effect.Effect<void> =>
  Effect.logInfo("security: login refused", { userId, address })
