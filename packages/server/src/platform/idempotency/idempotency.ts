import {
  type DomainError,
  type ErrorOf,
  IdempotencyKeyReused,
  type OutputOf,
  type Procedure,
  ServiceUnavailable
} from "@holdfast/domain"
import type { LockFree } from "@holdfast/locks"
import { Effect, Redacted, Result, Schema } from "effect"
import { createHash, createHmac } from "node:crypto"
import { PlatformConfig } from "../config.ts"
import { BUSY_RETRY_AFTER_MS, type Database, db } from "../db/database.ts"
import { bytesOf } from "../db/ids.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import { inTransaction, type Transactions, tx, type Tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import type { Call } from "../trpc/handler.ts"

/** What one call of a mutation ends in: its output, or a declared error. */
export type Outcome<P extends Procedure> = Result.Result<OutputOf<P>, Refusal<P>>

/** Every error that a mutation may answer with. */
type Refusal<P extends Procedure> = ErrorOf<P> | ServiceUnavailable | IdempotencyKeyReused

/** The row of `idempotency_keys` that one call's answer goes into. */
interface KeyRow {
  readonly user_id: Buffer
  readonly procedure_path: string
  readonly idempotency_key: string
  readonly fingerprint: Buffer
}

/** The key of one call. */
export interface IdempotencyKey {
  readonly row: KeyRow
  /** The fingerprint that version 0.1 stored: a retry that begins before a deployment may end after it. */
  readonly formerFingerprint: () => Buffer
}

/** The row of this key exists: an earlier request has committed its answer. */
class AlreadyAnswered {
  readonly _tag = "AlreadyAnswered"
}

type StoredAnswer = { readonly success: unknown } | { readonly failure: unknown }

/**
 * The key of a call, `undefined` when its caller sent none. The fingerprint depends on the meaning of the input alone, so
 * that a retry gets its answer from any server after any change of settings. Keys of callers without an account belong
 * to the input: two strangers who choose the same key do not meet.
 *
 * @param identity stands for the input in the fingerprint. It holds no secret that the plain hash would let out.
 */
export const idempotencyKeyOf = Effect.fnUntraced(function* <P extends Procedure>(
  procedure: P,
  path: string,
  { caller, input, request }: Call<P>,
  identity?: unknown
) {
  if (request.idempotencyKey === undefined) return undefined
  const { secret } = yield* PlatformConfig
  const encoded: unknown = Schema.encodeUnknownSync(procedure.input)(input)
  const fingerprint = createHash("sha256")
    .update(`${path}\n${canonicalJson(identity ?? encoded)}`)
    .digest()
  const key: IdempotencyKey = {
    row: {
      user_id: caller === undefined ? fingerprint.subarray(0, 16) : bytesOf(caller.userId),
      procedure_path: path,
      idempotency_key: request.idempotencyKey,
      fingerprint
    },
    formerFingerprint: () =>
      createHmac("sha256", Redacted.value(secret))
        .update(`${path}\n${JSON.stringify(encoded)}`)
        .digest()
  }
  return key
})

/** JSON that is the same for the same meaning: the properties of objects are sorted by name. */
const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part
  )

/**
 * Runs the body of a mutation in a transaction so that it takes effect at most once per key, and every request with
 * that key gets the same answer.
 *
 * The answer's row is the last statement of the transaction. A request that finds the row taken rolls back and repeats
 * the stored answer, so the unique key alone decides under any interleaving, for the price of one INSERT. Refusals
 * that are not retryable are answers, too. See https://brandur.org/idempotency-keys for the idea and
 * docs/adr/0002-the-answer-last.md for the order of the statements.
 */
export const withIdempotency = <P extends Procedure, R>(
  procedure: P,
  key: IdempotencyKey | undefined,
  body: Effect.Effect<Outcome<P>, WriteConflict | DatabaseUnavailable, R> & LockFree<R, Transactions>
): Effect.Effect<Outcome<P>, ServiceUnavailable, Exclude<R, Tx> | Database | Transactions> => {
  if (key === undefined) return inTransaction(body)
  const bodyThenAnswer = Effect.gen(function* () {
    const outcome = yield* body
    const answer = storedAnswerOf(procedure, outcome)
    if (answer !== undefined) yield* insertAnswer(key, answer)
    yield* failpoint("answer stored")
    return outcome
  })
  // The answer adds a statement to the body, so what was checked of the body holds for both.
  return inTransaction(bodyThenAnswer as typeof bodyThenAnswer & LockFree<R | Tx, Transactions>).pipe(
    Effect.catchIf(
      (error) => error instanceof AlreadyAnswered,
      () => replayAnswer(procedure, key)
    )
  ) as Effect.Effect<Outcome<P>, ServiceUnavailable, Exclude<R, Tx> | Database | Transactions>
}

/** The answer that was stored under this key, or `undefined` when there is none yet. */
export const findAnswer = <P extends Procedure>(
  procedure: P,
  key: IdempotencyKey
): Effect.Effect<Outcome<P> | undefined, ServiceUnavailable, Database> =>
  db
    .first((q) =>
      q
        .selectFrom("idempotency_keys")
        .select(["fingerprint", "answer"])
        .where("user_id", "=", key.row.user_id)
        .where("procedure_path", "=", key.row.procedure_path)
        .where("idempotency_key", "=", key.row.idempotency_key)
    )
    .pipe(Effect.map((row) => (row === undefined ? undefined : repeatAnswer(procedure, key, row))))

/** A key whose row is taken but not visible yet is answered with `ServiceUnavailable`; the retry finds it. */
const replayAnswer = Effect.fnUntraced(function* <P extends Procedure>(procedure: P, key: IdempotencyKey) {
  return (
    (yield* findAnswer(procedure, key)) ??
    (yield* new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS }))
  )
})

const insertAnswer = (key: IdempotencyKey, answer: StoredAnswer) =>
  tx
    .insert((q) => q.insertInto("idempotency_keys").values({ ...key.row, answer: JSON.stringify(answer) }))
    .pipe(Effect.catchTag("UniqueViolation", () => Effect.fail(new AlreadyAnswered())))

/** Retryable refusals are not stored: the same request may succeed a moment later. */
const storedAnswerOf = <P extends Procedure>(procedure: P, outcome: Outcome<P>): StoredAnswer | undefined => {
  if (Result.isSuccess(outcome))
    return { success: Schema.encodeUnknownSync(procedure.output)(outcome.success) }
  const refusal = outcome.failure as DomainError
  const errorClass = procedure.errors.find((candidate) => refusal instanceof candidate)
  if (refusal.retryable || errorClass === undefined) return undefined
  return { failure: Schema.encodeUnknownSync(errorClass)(refusal) }
}

/** The same input gets the stored output, or the stored refusal as an instance of the same error class. */
const repeatAnswer = <P extends Procedure>(
  procedure: P,
  key: IdempotencyKey,
  row: { readonly fingerprint: Buffer; readonly answer: string }
): Outcome<P> => {
  if (!row.fingerprint.equals(key.row.fingerprint) && !row.fingerprint.equals(key.formerFingerprint()))
    return Result.fail(new IdempotencyKeyReused({ idempotencyKey: key.row.idempotency_key }))
  const answer = JSON.parse(row.answer) as StoredAnswer
  return "success" in answer
    ? Result.succeed(Schema.decodeUnknownSync(procedure.output)(answer.success) as OutputOf<P>)
    : Result.fail(decodeRefusal(procedure, answer.failure))
}

const decodeRefusal = <P extends Procedure>(procedure: P, encoded: unknown): ErrorOf<P> => {
  const tag = (encoded as { readonly _tag: string })._tag
  const errorClass = procedure.errors.find(
    (candidate) => (candidate as unknown as { readonly identifier?: string }).identifier === tag
  )
  if (errorClass === undefined) throw new Error(`a stored answer holds the undeclared error ${tag}`)
  return Schema.decodeUnknownSync(errorClass)(encoded)
}
