import type { SessionId, UserId } from "@holdfast/domain"
import { Effect } from "effect"

/** What happens to the access of a user. */
interface SecurityEvent {
  readonly kind:
    | "login"
    | "login refused"
    | "logout"
    | "refresh token reused"
    | "session revoked"
    | "password changed"
    | "role granted"
    | "role taken"
    | "user blocked"
    | "user unblocked"
  /** `undefined` where nobody has the e-mail. */
  readonly userId: UserId | undefined
  readonly sessionId?: SessionId
  readonly address?: string
}

/**
 * Reports an event. Every change of a user's access passes here, inside the transaction that makes it. The log gets
 * neither the e-mail nor a token.
 */
export const recordSecurityEvent = ({ kind, ...event }: SecurityEvent): Effect.Effect<void> =>
  Effect.logInfo(`security: ${kind}`, event)
