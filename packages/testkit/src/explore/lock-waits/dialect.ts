import type { SqlObserver } from "../sql-observer.ts"

/** The connections of a SQL server that wait for a lock at one moment, by their numbers at the server. */
export interface WaitReport {
  /** Connections that wait for a row lock, a named lock or a metadata lock. */
  readonly waiting: ReadonlySet<number>
  /** Those that wait in a cycle, or for one that does. The server is about to end one of these waits. */
  readonly deadlocked: ReadonlySet<number>
}

/** How one kind of server reports its locks. */
export interface LockDialect {
  /** Whether a report names deadlocks. If not, the server may be about to end a wait that was reported only once. */
  readonly knowsDeadlocks: boolean
  readonly report: (observer: SqlObserver) => Promise<WaitReport>
  /** Selects those of the given connections (`?`) whose transaction the server has not rolled back yet. */
  readonly stillThere: string
}
