/**
 * One operation of one client, with the instants between which it took effect. All times are nanoseconds on a monotonic
 * clock since the origin of the history.
 */
export interface Operation<Input, Output> {
  /** Position in the history. */
  readonly id: number
  readonly client: string
  readonly input: Input
  readonly calledAtNs: number
  readonly outcome: Outcome<Output>
}

/** What the client learned about the operation. */
export type Outcome<Output> = Returned<Output> | Failed | Unknown

/** The operation took effect and returned an output. */
export interface Returned<Output> {
  readonly status: "returned"
  readonly output: Output
  readonly returnedAtNs: number
}

/** The operation certainly had no effect, so the checker ignores it. */
export interface Failed {
  readonly status: "failed"
  readonly error: unknown
  readonly returnedAtNs: number
}

/**
 * The operation never returned, or its reply was lost. It may take effect at any later time or never, so it stays
 * pending whatever the client does afterwards.
 */
export interface Unknown {
  readonly status: "unknown"
  readonly error?: unknown
  /** When the client stopped waiting. Only the timeline uses it. */
  readonly gaveUpAtNs?: number
}

/** An event of the system rather than of a client: a fault, a restart, the end of a lease. */
export interface Mark {
  readonly label: string
  readonly atNs: number
  /** The affected client; absent when all are. */
  readonly client?: string
}

/** A {@link History}, or what one recorded. */
export interface RecordedHistory<Input, Output> {
  readonly operations: ReadonlyArray<Operation<Input, Output>>
  readonly marks?: ReadonlyArray<Mark>
}

/** An operation that returned. */
export type ReturnedOperation<Input, Output> = Operation<Input, Output> & {
  readonly outcome: Returned<Output>
}

export const hasReturned = <Input, Output>(
  operation: Operation<Input, Output>
): operation is ReturnedOperation<Input, Output> => operation.outcome.status === "returned"

/** The time after which the operation can no longer take effect: its return, or infinity. */
export const endOf = (operation: Operation<unknown, unknown>): number =>
  operation.outcome.status === "unknown" ? Number.POSITIVE_INFINITY : operation.outcome.returnedAtNs
