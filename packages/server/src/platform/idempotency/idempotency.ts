import {
  type DomainError,
  type ErrorOf,
  IdempotencyKeyReused,
  type OutputOf,
  type Procedure,
  type ServiceUnavailable
} from "@holdfast/domain"
import { Effect, Redacted, Result, Schema } from "effect"
import { createHash, createHmac } from "node:crypto"
import { Blocked, type Ending } from "../command/groups.ts"
import { PlatformConfig } from "../config.ts"
import { type Database, db } from "../db/database.ts"
import { bytesOf } from "../db/ids.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import { tx, type Tx } from "../db/transaction.ts"
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

/** The row of a key is taken: another transaction has committed its answer meanwhile. */
export class AnswerFound {
  readonly _tag = "AnswerFound"
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
  const encoded: unknown = encoderOf(procedure.input)(input)
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

const encoders = new WeakMap<Schema.Top, (value: unknown) => unknown>()

/** The encoder of a schema, compiled once. */
const encoderOf = (schema: Procedure["input"]) => {
  const encoder = encoders.get(schema) ?? Schema.encodeUnknownSync(schema)
  encoders.set(schema, encoder)
  return encoder
}

/** JSON that is the same for the same meaning: the properties of objects are sorted by name. */
const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value))

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null || "toJSON" in value) return value
  const entries = Object.entries(value).map(([name, part]) => [name, sorted(part)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * Runs the body of a mutation, in the open transaction, for the calls that have no answer yet, each key once, and gives
 * what became of every call. So a mutation takes effect at most once per key, and every request with that key gets the
 * same answer.
 *
 * The answers' rows are the last statement of the transaction. When one is taken, this fails with `AnswerFound`, and the
 * transaction is to start over and look first. So the unique key alone decides under any interleaving. Refusals that are
 * not retryable are answers, too.
 * See https://brandur.org/idempotency-keys for the idea and docs/adr/0002-the-answer-last.md for the order of the
 * statements.
 *
 * @param lookFirst whether to read the stored answers before the body runs
 * @param body gives an ending for each of the calls it gets, in their order
 */
export const withIdempotency = <P extends Procedure, C extends Keyed, R>(
  procedure: P,
  calls: ReadonlyArray<C>,
  lookFirst: boolean,
  body: (
    fresh: ReadonlyArray<C>
  ) => Effect.Effect<ReadonlyArray<Ending<Outcome<P>>>, WriteConflict | DatabaseUnavailable, R>
): Effect.Effect<
  ReadonlyArray<Ending<Outcome<P>>>,
  WriteConflict | DatabaseUnavailable | AnswerFound,
  R | Tx
> =>
  Effect.gen(function* () {
    const stored = lookFirst ? yield* storedAnswers(calls) : new Map<string, StoredRow>()
    const firstOfKey = new Map<string, C>()
    const fresh = calls.filter((call) => {
      const name = nameOf(call.key?.row)
      if (name === undefined) return true
      if (stored.has(name) || firstOfKey.has(name)) return false
      firstOfKey.set(name, call)
      return true
    })
    const endings = fresh.length === 0 ? [] : yield* body(fresh)
    const endingOf = new Map(fresh.map((call, index) => [call, endings[index]!]))
    yield* insertAnswers(procedure, endingOf)
    yield* failpoint("answer stored")
    return calls.map((call) => {
      const own = endingOf.get(call)
      if (own !== undefined) return own
      const name = nameOf(call.key?.row)!
      const row = stored.get(name)
      if (row !== undefined) return repeatAnswer(procedure, call.key!, row)
      const twin = firstOfKey.get(name)!
      return twin.key!.row.fingerprint.equals(call.key!.row.fingerprint)
        ? endingOf.get(twin)!
        : keyReused(call.key!)
    })
  })

interface Keyed {
  readonly key: IdempotencyKey | undefined
}

interface StoredRow {
  readonly fingerprint: Buffer
  readonly answer: string
}

/** Distinguishes the keys of one procedure. */
const nameOf = (key: { readonly user_id: Buffer; readonly idempotency_key: string } | undefined) =>
  key && `${key.user_id.toString("hex")}:${key.idempotency_key}`

const storedAnswers = Effect.fnUntraced(function* (calls: ReadonlyArray<Keyed>) {
  const keys = calls.flatMap(({ key }) => (key === undefined ? [] : [key.row]))
  if (keys.length === 0) return new Map<string, StoredRow>()
  const rows = yield* tx.rows((q) =>
    q
      .selectFrom("idempotency_keys")
      .select(["user_id", "idempotency_key", "fingerprint", "answer"])
      .where("procedure_path", "=", keys[0]!.procedure_path)
      .where((eb) => eb.or(keys.map(({ idempotency_key, user_id }) => eb.and({ user_id, idempotency_key }))))
  )
  return new Map(rows.map((row) => [nameOf(row)!, row]))
})

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

/** One statement, in the order of the keys: two groups with the same keys cannot block each other. */
const insertAnswers = <P extends Procedure>(
  procedure: P,
  endingOf: ReadonlyMap<Keyed, Ending<Outcome<P>>>
): Effect.Effect<void, WriteConflict | DatabaseUnavailable | AnswerFound, Tx> => {
  const rows = [...endingOf].flatMap(([{ key }, ending]) => {
    if (key === undefined || ending instanceof Blocked) return []
    const answer = storedAnswerOf(procedure, ending)
    return answer === undefined ? [] : [{ ...key.row, answer: JSON.stringify(answer) }]
  })
  if (rows.length === 0) return Effect.void
  rows.sort((a, b) => (nameOf(a)! < nameOf(b)! ? -1 : 1))
  return tx
    .insert((q) => q.insertInto("idempotency_keys").values(rows))
    .pipe(Effect.catchTag("UniqueViolation", () => Effect.fail(new AnswerFound())))
}

/** Retryable refusals are not stored: the same request may succeed a moment later. */
const storedAnswerOf = <P extends Procedure>(procedure: P, outcome: Outcome<P>): StoredAnswer | undefined => {
  if (Result.isSuccess(outcome)) return { success: encoderOf(procedure.output)(outcome.success) }
  const refusal = outcome.failure as DomainError
  const errorClass = procedure.errors.find((candidate) => refusal instanceof candidate)
  if (refusal.retryable || errorClass === undefined) return undefined
  return { failure: Schema.encodeUnknownSync(errorClass)(refusal) }
}

/** The same input gets the stored output, or the stored refusal as an instance of the same error class. */
const repeatAnswer = <P extends Procedure>(procedure: P, key: IdempotencyKey, row: StoredRow): Outcome<P> => {
  if (!row.fingerprint.equals(key.row.fingerprint) && !row.fingerprint.equals(key.formerFingerprint()))
    return keyReused(key)
  const answer = JSON.parse(row.answer) as StoredAnswer
  return "success" in answer
    ? Result.succeed(Schema.decodeUnknownSync(procedure.output)(answer.success) as OutputOf<P>)
    : Result.fail(decodeRefusal(procedure, answer.failure))
}

const keyReused = (key: IdempotencyKey) =>
  Result.fail(new IdempotencyKeyReused({ idempotencyKey: key.row.idempotency_key }))

const decodeRefusal = <P extends Procedure>(procedure: P, encoded: unknown): ErrorOf<P> => {
  const tag = (encoded as { readonly _tag: string })._tag
  const errorClass = procedure.errors.find(
    (candidate) => (candidate as unknown as { readonly identifier?: string }).identifier === tag
  )
  if (errorClass === undefined) throw new Error(`a stored answer holds the undeclared error ${tag}`)
  return Schema.decodeUnknownSync(errorClass)(encoded)
}
