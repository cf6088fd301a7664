import {
  contract,
  type DomainError,
  type ErrorOf,
  IdempotencyKeyReused,
  type OutputOf,
  pathsOf,
  type Procedure,
  RequestInProgress,
  ServiceUnavailable
} from "@holdfast/domain"
import { Effect, Redacted, Schema } from "effect"
import { createHmac } from "node:crypto"
import { PlatformConfig } from "../config.ts"
import type { LockFree } from "@holdfast/locks"
import { failpoint } from "../failpoints.ts"
import type { RequestInfo } from "../trpc/request.ts"
import { BUSY_RETRY_AFTER_MS, type Database, read } from "../db/database.ts"
import { bytesOf } from "../db/ids.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import { inTransaction, type Transactions, type Tx, writeUnique } from "../db/transaction.ts"

/** One mutation, asked for once or many times. */
export interface Mutation<P extends Procedure> {
  readonly procedure: P
  /** Whose keys these are: two users may use the same key. */
  readonly userId: string
  readonly request: RequestInfo
  readonly input: P["input"]["Type"]
}

/** The owner of the keys of callers who have no account yet. */
export const ANONYMOUS = "00000000-0000-0000-0000-000000000000"

/** What asking for a mutation ends in, besides its output. */
type Refusal<P extends Procedure> = ErrorOf<P> | ServiceUnavailable | IdempotencyKeyReused

/** The row of a key exists already: this request was answered before. */
class AnsweredBefore {
  readonly _tag = "AnsweredBefore"
}

type StoredAnswer = { readonly success: unknown } | { readonly failure: unknown }

/**
 * Runs a mutation's body in a transaction so that its effect happens at most once per idempotency key, and every
 * request with that key gets the same answer.
 *
 * The effect comes first and the answer's row last, in the same transaction: a request that finds the row taken rolls
 * back all it did and gives the stored answer. The unique key alone decides, under any interleaving: of two requests
 * at once one commits, and the other waits for its row, fails on it, and repeats the answer. That costs the common
 * case one INSERT. A declared failure that is not retryable is an answer too, stored after the rollback; whichever
 * answer is stored first is the one that all get (see https://brandur.org/idempotency-keys for the idea).
 */
export const withIdempotency = <P extends Procedure, R>(
  mutation: Mutation<P>,
  body: Effect.Effect<OutputOf<P>, ErrorOf<P> | WriteConflict | DatabaseUnavailable, R> &
    LockFree<R, Transactions>
): Effect.Effect<OutputOf<P>, Refusal<P>, Exclude<R, Tx> | Database | Transactions | PlatformConfig> =>
  Effect.gen(function* () {
    const { idempotencyKey } = mutation.request
    if (idempotencyKey === undefined) return yield* inTransaction(body)
    const key = yield* keyOf(mutation, idempotencyKey)
    const encode = Schema.encodeEffect(mutation.procedure.output)
    const effectThenAnswer = Effect.gen(function* () {
      const output = yield* body
      yield* storeAnswer(key, { success: yield* encode(output).pipe(Effect.orDie) })
      yield* failpoint("answer stored")
      return output
    })
    // What the answer adds to the body is a statement: what was checked of the body holds for both.
    type Checked = typeof effectThenAnswer & LockFree<R | Tx, Transactions>
    return yield* inTransaction(effectThenAnswer as Checked).pipe(
      Effect.catch((error) => {
        if (error instanceof AnsweredBefore) return replay(mutation, key)
        const refusal = error as Refusal<P> & DomainError
        return refusal.retryable ? Effect.fail(refusal) : storeRefusal(mutation, key, refusal)
      })
    )
  })

/**
 * Answers a mutation with a refusal that was found without any transaction. It is stored like any other answer, so that
 * a retry is told the same; and when the key was answered before, that answer is given instead.
 */
export const refuseOnce = <P extends Procedure>(
  mutation: Mutation<P>,
  refusal: ErrorOf<P>
): Effect.Effect<OutputOf<P>, Refusal<P>, Database | Transactions | PlatformConfig> =>
  Effect.gen(function* () {
    const { idempotencyKey } = mutation.request
    if (idempotencyKey === undefined) return yield* Effect.fail(refusal)
    return yield* storeRefusal(mutation, yield* keyOf(mutation, idempotencyKey), refusal)
  })

/**
 * For a mutation under an optimistic lock: a caller who finds the lock taken gets the stored answer, when the request
 * that holds the lock has stored it by now, and is told to come back otherwise.
 */
export const orAnsweredBefore =
  <P extends Procedure>(mutation: Mutation<P>) =>
  <E, R>(
    locked: Effect.Effect<OutputOf<P>, E | RequestInProgress, R>
  ): Effect.Effect<OutputOf<P>, E | RequestInProgress | Refusal<P>, R | Database | PlatformConfig> =>
    Effect.matchEffect(locked, {
      onSuccess: (output) => Effect.succeed(output),
      onFailure: (
        error
      ): Effect.Effect<OutputOf<P>, E | RequestInProgress | Refusal<P>, Database | PlatformConfig> =>
        error instanceof RequestInProgress ? answeredOr(mutation, error) : Effect.fail(error)
    })

const answeredOr = <P extends Procedure>(mutation: Mutation<P>, inProgress: RequestInProgress) =>
  Effect.gen(function* () {
    const { idempotencyKey } = mutation.request
    if (idempotencyKey === undefined) return yield* inProgress
    const key = yield* keyOf(mutation, idempotencyKey)
    const row = yield* findAnswer(key)
    return row === undefined ? yield* inProgress : yield* repeatAnswer(mutation, key, row)
  })

const findAnswer = (key: Key) =>
  read((db, options) =>
    db
      .selectFrom("idempotency_keys")
      .select(["fingerprint", "answer"])
      .where("user_id", "=", key.user_id)
      .where("procedure_path", "=", key.procedure_path)
      .where("idempotency_key", "=", key.idempotency_key)
      .executeTakeFirst(options)
  )

const paths = pathsOf(contract)

interface Key {
  readonly user_id: Buffer
  readonly procedure_path: string
  readonly idempotency_key: string
  readonly fingerprint: Buffer
}

/** The fingerprint is keyed with the server's secret, because an input may hold a password. */
const keyOf = <P extends Procedure>(
  mutation: Mutation<P>,
  idempotencyKey: string
): Effect.Effect<Key, never, PlatformConfig> =>
  Effect.gen(function* () {
    const { secret } = yield* PlatformConfig
    const path =
      paths.get(mutation.procedure) ??
      (yield* Effect.die(new Error("the procedure is not part of the contract")))
    const input = JSON.stringify(Schema.encodeUnknownSync(mutation.procedure.input)(mutation.input))
    return {
      user_id: bytesOf(mutation.userId),
      procedure_path: path,
      idempotency_key: idempotencyKey,
      fingerprint: createHmac("sha256", Redacted.value(secret)).update(`${path}\n${input}`).digest()
    }
  })

const storeAnswer = (
  key: Key,
  answer: StoredAnswer
): Effect.Effect<void, AnsweredBefore | WriteConflict | DatabaseUnavailable, Tx> =>
  writeUnique((tx, options) =>
    tx
      .insertInto("idempotency_keys")
      .values({ ...key, answer: JSON.stringify(answer) })
      .execute(options)
  ).pipe(
    Effect.catchTag("UniqueViolation", () => Effect.fail(new AnsweredBefore())),
    Effect.asVoid
  )

/** The body failed and was rolled back. Its refusal is the answer, unless a request beside us stored one first. */
const storeRefusal = <P extends Procedure>(
  mutation: Mutation<P>,
  key: Key,
  refusal: Refusal<P>
): Effect.Effect<OutputOf<P>, Refusal<P>, Database | Transactions> => {
  const errorClass = mutation.procedure.errors.find((candidate) => refusal instanceof candidate)
  if (errorClass === undefined) return Effect.fail(refusal)
  const failure: unknown = Schema.encodeUnknownSync(errorClass)(refusal)
  return inTransaction(storeAnswer(key, { failure })).pipe(
    Effect.matchEffect({
      onSuccess: () => Effect.fail(refusal),
      onFailure: (problem) =>
        problem instanceof AnsweredBefore ? replay(mutation, key) : Effect.fail(problem)
    })
  )
}

/** The answer that was stored for this key. Without one, the request that had stored it is not visible yet. */
const replay = <P extends Procedure>(
  mutation: Mutation<P>,
  key: Key
): Effect.Effect<OutputOf<P>, Refusal<P>, Database> =>
  Effect.gen(function* () {
    const row = yield* findAnswer(key)
    if (row === undefined) return yield* new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS })
    return yield* repeatAnswer(mutation, key, row)
  })

/** Gives a stored answer again, when it was the same input; a stored refusal refuses again, as the same error. */
const repeatAnswer = <P extends Procedure>(
  mutation: Mutation<P>,
  key: Key,
  row: { readonly fingerprint: Buffer; readonly answer: string }
): Effect.Effect<OutputOf<P>, Refusal<P>> =>
  Effect.gen(function* () {
    if (!row.fingerprint.equals(key.fingerprint))
      return yield* new IdempotencyKeyReused({ idempotencyKey: key.idempotency_key })
    const answer = JSON.parse(row.answer) as StoredAnswer
    if ("success" in answer)
      return yield* Schema.decodeUnknownEffect(mutation.procedure.output)(answer.success).pipe(Effect.orDie)
    return yield* Effect.fail(decodeRefusal(mutation.procedure, answer.failure))
  })

const decodeRefusal = <P extends Procedure>(procedure: P, encoded: unknown): ErrorOf<P> => {
  const tag = (encoded as { readonly _tag: string })._tag
  const errorClass = procedure.errors.find(
    (candidate) => (candidate as unknown as { readonly identifier?: string }).identifier === tag
  )
  if (errorClass === undefined) throw new Error(`a stored answer holds the undeclared error ${tag}`)
  return Schema.decodeUnknownSync(errorClass)(encoded)
}
