import * as Schema from "effect/Schema"
import { UserId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { query } from "./kernel/procedure.ts"

/** One row of the audit trail: who did what to which subject, when and by which request. */
export const AuditEntry = Schema.Struct({
  /** The chain that the entry belongs to. 0 holds the actions of administrators, the others security events. */
  chain: Schema.Int,
  /** The place in the chain, from 1 and without gaps. */
  position: Schema.Int,
  /** By the database's clock. */
  at: Moment,
  /** Absent when nobody was logged in, or when a program acted. */
  actorId: Schema.optionalKey(UserId),
  /** The actor's session; absent when a program acted. */
  sessionId: Schema.optionalKey(Schema.String),
  /** The caller's IPv4 address or IPv6 network. */
  address: Schema.optionalKey(Schema.String),
  /** The request, as it is named in the log. */
  requestId: Schema.optionalKey(Schema.String),
  /** The procedure's path in the contract, such as `admin.adjustStock`. */
  procedure: Schema.String,
  /** What was acted on, by kind and id: `product:TEA`, `user:019...`. */
  subject: Schema.String,
  /** What the action changed, as it was before. Absent where nothing was there. */
  before: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  /** The same after the action. */
  after: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
}).annotate({
  identifier: "AuditEntry"
})
export type AuditEntry = typeof AuditEntry.Type

const filterText = Schema.String.check(
  Schema.isMinLength(1, { message: "must not be empty" }),
  Schema.isMaxLength(128, { message: "must be at most 128 characters" })
)

/** The procedure on the audit trail in the group `admin`. */
export const auditTrailAdmin = {
  /**
   * Returns a page of the audit trail, newest entry first: all of it, or the entries of one actor, procedure or
   * subject, and of a span of time.
   */
  auditTrail: query({
    access: "admin",
    input: Schema.Struct({
      /** The `nextCursor` of the page before; absent for the first page. */
      cursor: pageInput.cursor,
      /** How many items a page has: 20 unless it is given, 100 at most. */
      limit: pageInput.limit,
      /** Only what this user did. */
      actorId: Schema.optionalKey(UserId),
      /** Only calls of this procedure, `admin.adjustStock` for instance. */
      procedure: Schema.optionalKey(filterText),
      /** Only what was done to this subject, `product:TEA` for instance. */
      subject: Schema.optionalKey(filterText),
      /** The first moment that counts. */
      from: Schema.optionalKey(Moment),
      /** The first moment that no longer counts. */
      until: Schema.optionalKey(Moment)
    }),
    output: pageOf(AuditEntry),
    errors: []
  })
}
