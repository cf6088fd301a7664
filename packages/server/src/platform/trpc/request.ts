import type { Role, UserId } from "@holdfast/domain"

/** Who calls, as the verified access token says. */
export interface Caller {
  readonly userId: UserId
  readonly role: Role
}

/** What a handler knows of the request besides its input. */
export interface RequestInfo {
  readonly requestId: string
  /** Made by the caller for one mutation and repeated with its retries. */
  readonly idempotencyKey: string | undefined
  /** The last event that a subscriber has seen on an earlier connection. */
  readonly lastEventId: string | undefined
}
