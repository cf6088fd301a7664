/**
 * One operation of one client, with the instants between which it must have taken effect.
 *
 * All times are nanoseconds on one monotonic clock, counted from the origin of the history.
 */
export interface Operation<Input, Output> {
  /** Position in the order in which operations were called. */
  readonly id: number
  readonly client: string
  readonly input: Input
  readonly calledAtNs: number
  readonly outcome: Outcome<Output>
}

/** What the client learned about its operation. */
export type Outcome<Output> = Returned<Output> | Failed | Unknown

/** The operation took effect and answered. */
export interface Returned<Output> {
  readonly status: "returned"
  readonly output: Output
  readonly returnedAtNs: number
}

/** The operation certainly had no effect: the checker leaves it out. */
export interface Failed {
  readonly status: "failed"
  readonly error: unknown
  readonly returnedAtNs: number
}

/**
 * The operation never returned or its reply was lost. It may take effect at any later time, or never, so it stays
 * pending for ever, whatever the client did after it gave up.
 */
export interface Unknown {
  readonly status: "unknown"
  readonly error?: unknown
  /** When the client stopped waiting; only the timeline uses it. */
  readonly gaveUpAtNs?: number
}

/** Something that happened to the system rather than by a client: a fault, a restart, a lease that ended. */
export interface Mark {
  readonly label: string
  readonly atNs: number
  /** The lane it belongs to; absent when it struck everyone. */
  readonly client?: string
}

/** An operation that answered. */
export type ReturnedOperation<Input, Output> = Operation<Input, Output> & {
  readonly outcome: Returned<Output>
}

export const hasReturned = <Input, Output>(
  operation: Operation<Input, Output>
): operation is ReturnedOperation<Input, Output> => operation.outcome.status === "returned"

/** When the operation can no longer take effect: its return, or never. */
export const endOf = (operation: Operation<unknown, unknown>): number =>
  operation.outcome.status === "unknown" ? Number.POSITIVE_INFINITY : operation.outcome.returnedAtNs
