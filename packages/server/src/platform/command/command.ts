import {
  type ErrorOf,
  type OutputOf,
  type Procedure,
  RequestInProgress,
  ServiceUnavailable
} from "@holdfast/domain"
import { FenceStale, LockLost, type LockTarget, LockTimeout } from "@holdfast/domain/locks"
import { type LockFailure, type LockFree, type Takes, withLock } from "@holdfast/locks"
import { Clock, Effect, Exit, Result } from "effect"
import type { PlatformConfig } from "../config.ts"
import type { Database } from "../db/database.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import type { Transactions, Tx } from "../db/transaction.ts"
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

/** What a statement of a command's transaction may fail with. The command retries the first and reports the second. */
export type TransactionFailure = WriteConflict | DatabaseUnavailable

/** How a call stands before the lock: refused for good, or admitted until `settle` has seen how the call ended. */
export type Admission<E, R> =
  | { readonly _tag: "Refused"; readonly error: E }
  | {
      readonly _tag: "Admitted"
      readonly settle: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void, never, R>
    }

/** What a command decides for an accepted item: the answer, and whatever `write` needs beside it. */
export interface Decision<P extends Procedure> {
  readonly output: OutputOf<P>
}

/** The one transaction of a command, in the order in which it happens. */
export interface CommandTransaction<P extends Procedure, Item, Locked, Decided, RLock, RWrite> {
  /** Locking reads, in primary-key order. The first one is the first statement of the transaction. */
  readonly lock: (items: ReadonlyArray<Item>) => Effect.Effect<Locked, TransactionFailure, RLock>
  /** Pure: an outcome for each item, in order of arrival. A refusal changes nothing. */
  readonly decide: (
    locked: Locked,
    items: ReadonlyArray<Item>,
    now: Date
  ) => ReadonlyArray<Result.Result<Decided, ErrorOf<P>>>
  /** Writes what was decided, one statement a table. Not called when every item is refused. */
  readonly write: (
    decided: ReadonlyArray<Decided>,
    now: Date
  ) => Effect.Effect<void, TransactionFailure, RWrite>
}

/** A mutation as the steps that its calls go through, in the order in which they happen. */
export interface CommandSteps<
  P extends Procedure,
  Item,
  Locked,
  Decided extends Decision<P>,
  Target extends LockTarget,
  RPrepare,
  RAdmit,
  RSettle,
  RLock,
  RWrite,
  RAfter
> {
  /** Makes an item of a call: ids, hashes, checks of the shop's policy. Stores nothing. */
  readonly prepare: (call: Call<P>) => Effect.Effect<Item, ErrorOf<P>, RPrepare>
  /** Decides before the lock whether the call may go on. A refusal is stored like any other answer. */
  readonly admit?: (item: Item) => Effect.Effect<Admission<ErrorOf<P>, RSettle>, ServiceUnavailable, RAdmit>
  /** The lock that is held from before the transaction until after its commit. */
  readonly lock?: (item: Item) => Target
  /** Names a row that many transactions wait for, so that only a few of them hold a connection at once. */
  readonly bulkhead?: (item: Item) => string
  readonly transaction: CommandTransaction<P, Item, Locked, Decided, RLock, RWrite>
  /** Runs after the commit and before the answer, also for a repeated answer. Cannot fail the call. */
  readonly afterCommit?: (
    outputs: ReadonlyArray<OutputOf<P>>,
    items: ReadonlyArray<Item>
  ) => Effect.Effect<void, never, RAfter>
}

type NoTarget = LockTarget<never>

type TakenBy<Target extends LockTarget> =
  Target extends LockTarget<infer Name> ? ([Name] extends [never] ? never : Takes<Name>) : never

/** Optimistic locks refuse a second caller; the contract has to declare that. */
type Busy<Target extends LockTarget> =
  Target extends LockTarget<infer Name, infer _Order, infer Mode>
    ? [Name] extends [never]
      ? never
      : Mode extends "optimistic"
        ? RequestInProgress
        : never
    : never

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
  const { admit, afterCommit, bulkhead, lock, prepare, transaction } = steps

  type Body = Effect.Effect<Outcome<P>, TransactionFailure, RLock | RWrite> &
    LockFree<RLock | RWrite, Transactions>
  const transact = (item: Item, key: IdempotencyKey | undefined) =>
    // `Checked` has looked at the requirements of both steps.
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
            ? withIdempotency(procedure, key, Effect.succeed<Outcome<P>>(Result.fail(admission.error)))
            : Effect.onExit(locked(item, key), (exit) => admission.settle(resultOf(exit)))
        )

  return Effect.fn(path)(function* (call: Call<P>) {
    const item = yield* prepare(call)
    const key = yield* idempotencyKeyOf(procedure, path, call)
    const output = yield* Effect.flatMap(admitted(item, key), Effect.fromResult)
    if (afterCommit !== undefined) yield* afterCommit([output], [item])
    return output
  }) as unknown as Checked<
    RLock | RWrite,
    (
      call: Call<P>
    ) => Effect.Effect<
      OutputOf<P>,
      ErrorOf<P> | Busy<Target>,
      | Exclude<RLock | RWrite, Tx>
      | RPrepare
      | RAdmit
      | RSettle
      | RAfter
      | TakenBy<Target>
      | Bulkheads
      | Database
      | Transactions
      | PlatformConfig
    >
  >
}

/** The handler, or a sentence when a step of its transaction takes a lock or opens a transaction. */
type Checked<R, Handler> = unknown extends LockFree<R, Transactions> ? Handler : LockFree<R, Transactions>

/** The transaction of one call: a list of one. */
const execute = <P extends Procedure, Item, Locked, Decided extends Decision<P>, RLock, RWrite>(
  { decide, lock, write }: CommandTransaction<P, Item, Locked, Decided, RLock, RWrite>,
  item: Item
) =>
  Effect.gen(function* () {
    const locked = yield* lock([item])
    const now = new Date(yield* Clock.currentTimeMillis)
    const outcome = decide(locked, [item], now)[0]!
    if (Result.isFailure(outcome)) return outcome as Outcome<P>
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
  Effect.catchIf(
    effect,
    (error): error is E & LockTrouble =>
      error instanceof LockLost || error instanceof FenceStale || error instanceof LockTimeout,
    (error) =>
      Effect.andThen(
        Effect.logWarning("a lock failed", error.message),
        Effect.fail(new ServiceUnavailable({ retryAfterMs: LOCK_RETRY_AFTER_MS }))
      )
  ) as Effect.Effect<A, Exclude<E, LockTrouble> | ServiceUnavailable, R>

/** A refusal is an outcome inside the command and a failure outside of it. */
const resultOf = <P extends Procedure>(exit: Exit.Exit<Outcome<P>, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) && Result.isFailure(exit.value) ? Exit.fail(exit.value.failure) : exit
