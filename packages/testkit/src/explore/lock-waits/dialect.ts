import type { SqlObserver } from "../sql-observer.ts"

/** Which connections of a SQL server wait for a lock at one moment, by the server's numbers of them. */
export interface WaitReport {
  /** They wait for a row lock, a named lock or a metadata lock. */
  readonly waiting: ReadonlySet<number>
  /** Those of them that wait in a circle, or for one that does: the server is about to end one of these waits. */
  readonly deadlocked: ReadonlySet<number>
}

/** How one kind of server is asked about its locks. */
export interface LockDialect {
  /** Whether a report tells who is deadlocked. If not, the server may be about to end a wait that is reported once. */
  readonly knowsDeadlocks: boolean
  readonly report: (observer: SqlObserver) => Promise<WaitReport>
  /** Selects those of some connections (`?`) that are not ended yet, transaction and all. */
  readonly stillThere: string
}
