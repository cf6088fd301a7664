import type { ErrorOf, OutputOf, Procedure, RequestInProgress, ServiceUnavailable } from "@holdfast/domain"
import type { LockTarget } from "@holdfast/domain/locks"
import type { LockFree, Takes } from "@holdfast/locks"
import type { Effect, Exit, Result } from "effect"
import type { PlatformConfig } from "../config.ts"
import type { Database } from "../db/database.ts"
import type { DatabaseUnavailable, WriteConflict } from "../db/sql-errors.ts"
import type { Transactions, Tx } from "../db/transaction.ts"
import type { Call } from "../trpc/handler.ts"
import type { AuditedChange } from "../audit-trail/entry.ts"
import type { Groups } from "./groups.ts"

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
export type CommandTransaction<P extends Procedure, Item, Locked, Decided, RLock, RWrite> = TransactionSteps<
  P,
  Item,
  Locked,
  Decided,
  RLock,
  RWrite
> &
  AuditStep<P, Decided>

/** What the audit trail keeps of an accepted call, or `undefined` when it changed nothing. Goes with the effect's commit. */
type Audit<Decided> = (decided: Decided) => AuditedChange | undefined

/** What administrators do is always in the audit trail. */
type AuditStep<P extends Procedure, Decided> = P["access"] extends "admin"
  ? { readonly audit: Audit<Decided> }
  : { readonly audit?: Audit<Decided> }

interface TransactionSteps<P extends Procedure, Item, Locked, Decided, RLock, RWrite> {
  /**
   * Locking reads, in primary-key order, before any other statement. None where a unique key decides alone. With
   * `blockedBy`, rows that other transactions hold are to be skipped or waited for as `heldRows` says.
   */
  readonly lock: (
    items: ReadonlyArray<Item>,
    heldRows: "skip" | "wait"
  ) => Effect.Effect<Locked, TransactionFailure, RLock>
  /** Names a row that the item needs and `lock` skipped. The call then waits for that row. */
  readonly blockedBy?: (locked: Locked, item: Item) => string | undefined
  /** Pure: an outcome for each item, in order of arrival. A refusal changes nothing. `now` is the database's time. */
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
  /** Stands for the input in the fingerprint of an idempotency key. For an input that holds a secret. Default: the input. */
  readonly identity?: (item: Item) => unknown
  /** Decides before the lock whether the call may go on. A refusal is stored like any other answer. */
  readonly admit?: (item: Item) => Effect.Effect<Admission<ErrorOf<P>, RSettle>, ServiceUnavailable, RAdmit>
  /** The lock that is held from before the transaction until after its commit. */
  readonly lock?: (item: Item) => Target
  /** Lets calls share transactions: those of one queue run in one, once the last one has committed. */
  readonly group?: {
    readonly queue: (item: Item) => string
    /** How many rows an item reads and writes, roughly. Default 1. */
    readonly weigh?: (item: Item) => number
  }
  readonly transaction: CommandTransaction<P, Item, Locked, Decided, RLock, RWrite>
  /** Runs after the commit and before the answers, also for repeated answers. Cannot fail the calls. */
  readonly afterCommit?: (
    outputs: ReadonlyArray<OutputOf<P>>,
    items: ReadonlyArray<Item>
  ) => Effect.Effect<void, never, RAfter>
}

/** The target of a command without a lock. */
export type NoTarget = LockTarget<never>

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
 * The handler that a command is, or a sentence when a step of its transaction takes a lock or opens a transaction.
 * `RTransaction` is what the transaction requires, `R` what the other steps require.
 */
export type CommandHandler<P extends Procedure, Target extends LockTarget, RTransaction, R> =
  unknown extends LockFree<RTransaction, Transactions>
    ? (
        call: Call<P>
      ) => Effect.Effect<
        OutputOf<P>,
        ErrorOf<P> | Busy<Target>,
        Exclude<RTransaction, Tx> | R | TakenBy<Target> | Groups | Database | Transactions | PlatformConfig
      >
    : LockFree<RTransaction, Transactions>
