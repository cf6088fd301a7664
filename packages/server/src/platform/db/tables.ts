import type { ColumnType, Generated } from "kysely"

/**
 * The tables as Kysely sees them, written by hand and compared with the migrated database by a test. Here are the
 * platform's own tables; each module adds its tables by declaration merging in its `tables.ts`.
 * Ids are UUIDv7 in BINARY(16), see ids.ts; BIGINT values come back as checked safe integers.
 */
export interface DB {
  idempotency_keys: IdempotencyKeysTable
  outbox: OutboxTable
  lock_fences: LockFencesTable
  worker_turns: WorkerTurnsTable
  installation: InstallationTable
  set_aside: SetAsideTable
  cache_trust: CacheTrustTable
  audit_trail: AuditTrailTable
  audit_heads: AuditHeadsTable
}

/** Set by the database when a row is inserted. */
export type CreatedAt = ColumnType<Date, Date | undefined, never>

interface IdempotencyKeysTable {
  user_id: Buffer
  procedure_path: string
  idempotency_key: string
  /** HMAC-SHA-256 of the input. */
  fingerprint: Buffer
  /** The encoded answer or the encoded error, as JSON. */
  answer: string
  created_at: CreatedAt
}

interface OutboxTable {
  id: Generated<number>
  topic: string
  /** JSON. */
  payload: string
  created_at: CreatedAt
  published_at: Date | null
  /** The transaction that inserted the event; NULL for events of version 0.1. */
  origin: ColumnType<Buffer | null, Buffer | undefined, never>
  /** The span that inserted the event, as the header of that name; NULL for those of nobody's trace. */
  traceparent: ColumnType<string | null, string | null | undefined, never>
  /** The place in the order in which consumers handle events. Given by the relay, without gaps, when it publishes. */
  sequence: number | null
}

interface LockFencesTable {
  lock_key: string
  token: number
}

/** One row a job: the process that leads the job keeps its row locked. */
interface WorkerTurnsTable {
  worker: string
  last_round_at: Date | null
  /** What the job remembers from run to run. */
  state: string | null
}

/** Items that a job could not handle; see jobs/set-aside.ts. */
interface SetAsideTable {
  job: string
  item: Buffer
  reason: string
  failures: Generated<number>
  first_failed_at: CreatedAt
  next_attempt_at: ColumnType<Date, Date | undefined, Date>
}

interface InstallationTable {
  only_row: number
  /** The key namespace of this database in Redis, so that several databases may share one Redis. */
  id: Buffer
  /** Events older than this may have been deleted. */
  outbox_trimmed_before: Date
  /** Which past this database has; 0 until a backup is restored. What Redis has of another one is not found. */
  epoch: Generated<number>
  /** Microseconds since 1970, raised every second. A backup that was restored has a lower one than was seen before. */
  beat: Generated<number>
}

/** Which entries of the cache count; see platform/cache/trust.ts. */
interface CacheTrustTable {
  only_row: Generated<number>
  /** Part of every key of the cache: entries of another generation are not found. */
  generation: Generated<number>
  /** No process uses the cache before this moment. */
  suspended_until: ColumnType<Date, Date | undefined, Date>
}

/** Entries that are only ever added; see platform/audit-trail. */
interface AuditTrailTable {
  chain: number
  position: number
  at: Date
  actor_id: Buffer | null
  session_id: string | null
  address: string | null
  request_id: string | null
  procedure_path: string
  /** Kind and id. */
  subject: string
  /** JSON. */
  state_before: string | null
  state_after: string | null
  /** SHA-256 of the other columns and of the hash before it in the chain. */
  hash: Buffer
}

/** The last entry of each chain: the writer of the next one keeps its row locked. */
interface AuditHeadsTable {
  chain: number
  position: number
  hash: Buffer
}
