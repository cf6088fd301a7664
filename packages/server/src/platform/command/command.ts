import { type Procedure, RequestInProgress, ServiceUnavailable } from "@holdfast/domain"
import { FenceStale, LockLost, type LockTarget, LockTimeout } from "@holdfast/domain/locks"
import { type LockFailure, type LockFree, withLock } from "@holdfast/locks"
import { Effect, Exit, Result } from "effect"
import type { Database } from "../db/database.ts"
import { databaseTime, type Transactions, type Tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import {
  findAnswer,
  type IdempotencyKey,
  idempotencyKeyOf,
  type Outcome,
  withIdempotency
} from "../idempotency/idempotency.ts"
import { type Call, pathOf } from "../trpc/handler.ts"
import { Bulkheads } from "./bulkhead.ts"
import type {
  CommandHandler,
  CommandSteps,
  CommandTransaction,
  Decision,
  NoTarget,
  TransactionFailure
} from "./steps.ts"

export type { Admission } from "./steps.ts"

/**
 * Implements a mutation. The steps read in the order in which they happen; this function owns what surrounds them:
 * idempotency, lock, begin, fences, the stored answer, commit, release, the retry after a write conflict.
 *
 * A call that finds its optimistic lock taken gets the stored answer if there is one, else `RequestInProgress`. Any
 * other lock failure is logged and answered with `ServiceUnavailable`, because nothing was done.
 */
export const command = <
  P extends Procedure<"mutation">,
  Item,
  Locked,
  Decided extends Decision<P>,
  RPrepare,
  RLock,
  RWrite,
  RAdmit = never,
  RSettle = never,
  RAfter = never,
  Target extends LockTarget = NoTarget
>(
  procedure: P,
  steps: CommandSteps<P, Item, Locked, Decided, Target, RPrepare, RAdmit, RSettle, RLock, RWrite, RAfter>
) => {
  const path = pathOf(procedure)
  const { admit, afterCommit, bulkhead, identity, lock, prepare, transaction } = steps

  type Body = Effect.Effect<Outcome<P>, TransactionFailure, RLock | RWrite | Tx> &
    LockFree<RLock | RWrite | Tx, Transactions>
  const transact = (item: Item, key: IdempotencyKey | undefined) =>
    // `CommandHandler` checks the requirements of both steps.
    withIdempotency(procedure, key, execute(transaction, item) as Body).pipe(
      Effect.tap(() => failpoint(`${path}: committed`)),
      inBulkhead(bulkhead?.(item))
    )

  const locked = (item: Item, key: IdempotencyKey | undefined) => {
    const target = lock?.(item)
    return target === undefined
      ? transact(item, key)
      : transact(item, key).pipe(
          // The transaction takes no lock of its own, which `LockFree` checks where the steps are written.
          withLock(target.scope, target.subject) as <E, R>(
            body: Effect.Effect<Outcome<P>, E, R>
          ) => Effect.Effect<Outcome<P>, E | LockFailure<"optimistic" | "pessimistic", true>, R>,
          orStoredAnswer(procedure, key),
          mapLockErrors
        )
  }

  const admitted = (item: Item, key: IdempotencyKey | undefined) =>
    admit === undefined
      ? locked(item, key)
      : Effect.flatMap(admit(item), (admission) =>
          admission._tag === "Refused"
            ? refused(procedure, key, Result.fail(admission.error))
            : Effect.onExit(locked(item, key), (exit) => admission.settle(resultOf(exit)))
        )

  return Effect.fn(path)(function* (call: Call<P>) {
    const item = yield* prepare(call)
    const key = yield* idempotencyKeyOf(procedure, path, call, identity?.(item))
    const output = yield* Effect.flatMap(admitted(item, key), Effect.fromResult)
    if (afterCommit !== undefined) yield* afterCommit([output], [item])
    return output
  }) as unknown as CommandHandler<P, Target, RLock | RWrite, RPrepare | RAdmit | RSettle | RAfter>
}

/** A refusal without a key has nothing to store, so it needs no transaction. */
const refused = <P extends Procedure>(
  procedure: P,
  key: IdempotencyKey | undefined,
  outcome: Outcome<P>
): Effect.Effect<Outcome<P>, ServiceUnavailable, Database | Transactions> =>
  key === undefined ? Effect.succeed(outcome) : withIdempotency(procedure, key, Effect.succeed(outcome))

/** The transaction of one call: a list of one. */
const execute = <P extends Procedure, Item, Locked, Decided extends Decision<P>, RLock, RWrite>(
  { decide, lock, write }: CommandTransaction<P, Item, Locked, Decided, RLock, RWrite>,
  item: Item
) =>
  Effect.gen(function* () {
    const locked = yield* lock([item])
    const now = yield* databaseTime
    const outcome = decide(locked, [item], now)[0]!
    if (Result.isFailure(outcome)) return outcome
    yield* write([outcome.success], now)
    return Result.succeed(outcome.success.output) as Outcome<P>
  })

const inBulkhead =
  (resource: string | undefined) =>
  <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Bulkheads> =>
    resource === undefined
      ? transaction
      : Effect.flatMap(Bulkheads, ({ within }) => within(resource)(transaction))

/** The holder of the lock may have stored the answer by now. */
const orStoredAnswer =
  <P extends Procedure>(procedure: P, key: IdempotencyKey | undefined) =>
  <E, R>(
    outcome: Effect.Effect<Outcome<P>, E, R>
  ): Effect.Effect<Outcome<P>, E | ServiceUnavailable, R | Database> =>
    Effect.catchIf(
      outcome,
      (error) => error instanceof RequestInProgress && key !== undefined,
      (inProgress) =>
        Effect.flatMap(findAnswer(procedure, key!), (answer) =>
          answer === undefined ? Effect.fail(inProgress) : Effect.succeed(answer)
        )
    )

type LockTrouble = LockLost | FenceStale | LockTimeout

const LOCK_RETRY_AFTER_MS = 100

/** The caller may retry; the log names the lock and its holder. */
const mapLockErrors = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, LockTrouble> | ServiceUnavailable, R> =>
  effect.pipe(
    Effect.catch((error): Effect.Effect<never, Exclude<E, LockTrouble> | ServiceUnavailable> =>
      isLockTrouble(error)
        ? Effect.andThen(
            Effect.logWarning("a lock failed", error.message),
            Effect.fail(new ServiceUnavailable({ retryAfterMs: LOCK_RETRY_AFTER_MS }))
          )
        : Effect.fail(error as Exclude<E, LockTrouble>)
    )
  )

const isLockTrouble = (error: unknown): error is LockTrouble =>
  error instanceof LockLost || error instanceof FenceStale || error instanceof LockTimeout

/** A refusal is an outcome inside the command and a failure outside of it. */
const resultOf = <P extends Procedure>(exit: Exit.Exit<Outcome<P>, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) && Result.isFailure(exit.value) ? Exit.fail(exit.value.failure) : exit
