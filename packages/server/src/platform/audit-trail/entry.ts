import type { UserId } from "@holdfast/domain"
import { createHash } from "node:crypto"
import { bytesOf } from "../db/ids.ts"

/** Who acts, and by which request. A program that acts by itself has a procedure's name at most. */
export interface AuditSource {
  readonly actorId?: UserId | undefined
  readonly sessionId?: string | undefined
  readonly address?: string | undefined
  readonly requestId?: string | undefined
  /** The procedure's path, or the program's name for what it does. */
  readonly procedure: string
}

/** A part of what was acted on. Neither a secret nor personal data: a row of the audit trail is never deleted. */
type AuditedState = Readonly<Record<string, unknown>>

/** What an action changed. */
export interface AuditedChange {
  /** Kind and id, such as `account:019...`. */
  readonly subject: string
  /** Absent where nothing was there before, or nothing is left. */
  readonly before?: AuditedState
  readonly after?: AuditedState
}

/** An entry to be. */
export interface NewAuditEntry extends AuditedChange, AuditSource {
  readonly kind: "action" | "security"
}

/** The chain of all actions, whose order therefore is one. */
const ACTIONS = 0

/** Strangers cause security events, so these share no chain with the actions and hardly one with each other. */
const SECURITY_CHAINS = 16

/** How many chains there are; the migration makes their heads. */
export const AUDIT_CHAINS = 1 + SECURITY_CHAINS

/** The chain of an entry: that of the actions, or for a security event one that its subject chooses. */
export const chainOf = ({ kind, subject }: NewAuditEntry): number =>
  kind === "action"
    ? ACTIONS
    : 1 + (createHash("sha256").update(subject).digest().readUInt8(0) % SECURITY_CHAINS)

/** The hash before the first entry of a chain. */
export const NO_HASH = Buffer.alloc(32)

/** The columns of an entry without its hash. */
export interface AuditRow {
  readonly chain: number
  readonly position: number
  readonly at: Date
  readonly actor_id: Buffer | null
  readonly session_id: string | null
  readonly address: string | null
  readonly request_id: string | null
  readonly procedure_path: string
  readonly subject: string
  /** JSON. */
  readonly state_before: string | null
  readonly state_after: string | null
}

/** The row of an entry at its place in the chain. */
export const auditRowOf = (
  entry: NewAuditEntry,
  place: Pick<AuditRow, "chain" | "position" | "at">
): AuditRow => ({
  ...place,
  actor_id: entry.actorId === undefined ? null : bytesOf(entry.actorId),
  session_id: entry.sessionId ?? null,
  address: entry.address ?? null,
  request_id: entry.requestId ?? null,
  procedure_path: entry.procedure,
  subject: entry.subject,
  state_before: entry.before === undefined ? null : JSON.stringify(entry.before),
  state_after: entry.after === undefined ? null : JSON.stringify(entry.after)
})

/** The columns that a hash covers beside chain, position and time. */
const HASHED = [
  "actor_id",
  "session_id",
  "address",
  "request_id",
  "procedure_path",
  "subject",
  "state_before",
  "state_after"
] as const

const hexOf = (value: Buffer | string | null) =>
  value === null
    ? "-"
    : Buffer.from(value as string)
        .toString("hex")
        .toUpperCase()

/** SHA-256 of the entry and the hash before it, so that no entry changes, vanishes or moves unnoticed. */
export const auditHashOf = (previous: Buffer, row: AuditRow): Buffer =>
  createHash("sha256")
    .update(
      [
        hexOf(previous),
        row.chain,
        row.position,
        row.at.getTime(),
        ...HASHED.map((column) => hexOf(row[column]))
      ].join(",")
    )
    .digest()

/** {@link auditHashOf} in SQL, for the row `e` and the row `p` before it. */
export const auditHashSql = `UNHEX(SHA2(CONCAT_WS(',',
  COALESCE(HEX(p.hash), '${NO_HASH.toString("hex")}'), e.chain, e.position,
  TIMESTAMPDIFF(MICROSECOND, '1970-01-01', e.at) DIV 1000,
  ${HASHED.map((column) => `COALESCE(HEX(e.${column}), '-')`).join(", ")}), 256))`
