import type { GatedConnection } from "./gate/gated-connection.ts"
import type { Lane } from "./gate/lane.ts"
import type { ClientResult } from "./scenario.ts"

/**
 * Whether a SQL statement waits for a lock. `possible`: another connection may hold the lock; `seen`: reported once;
 * `doubtful`: it was certain before another statement was answered.
 */
type LockWait = "no" | "possible" | "seen" | "certain" | "doubtful"

/** A repeated command with this many equal replies in a row is a poll. */
const REPLIES_OF_A_POLL = 3

/** One connection of a client during one schedule. The server sees its steps in order, and those of others in any order. */
export class Strand {
  readonly connection: GatedConnection
  lockWait: LockWait = "no"
  /** Its command, such as BLPOP, has not been answered for `patienceMs`, so it waits for another client. */
  isBlocked = false
  /** It has sent a statement to the SQL server, so it may hold locks there. */
  hasUsedSql = false
  /** The number of its latest step. */
  latestStep = -1
  #command: string | undefined
  #reply: string | undefined
  #equalReplies = 0

  constructor(connection: GatedConnection) {
    this.connection = connection
  }

  /** Its next step could be released. */
  get isReady(): boolean {
    return !this.connection.inFlight && this.connection.held !== undefined
  }

  /** A reply is about to arrive, to a step or to a command that is not a step. */
  get isMoving(): boolean {
    if (!this.connection.inFlight) return this.connection.awaitsReply
    return this.lockWait !== "certain" && !this.isBlocked
  }

  /** It repeats a command that keeps returning the same reply, so sending it again is no progress. */
  get isPolling(): boolean {
    return this.#equalReplies >= REPLIES_OF_A_POLL && this.connection.held?.label === this.#command
  }

  beginsStep(label: string, step: number, lockWait: LockWait): void {
    this.lockWait = lockWait
    this.hasUsedSql ||= this.connection.kind === "sql"
    this.isBlocked = false
    this.latestStep = step
    if (label !== this.#command) this.#equalReplies = 0
    this.#command = label
  }

  getsReply(reply: string): void {
    this.isBlocked = false
    this.#equalReplies = reply === this.#reply ? this.#equalReplies + 1 : 1
    this.#reply = reply
  }
}

const byStep = (a: Strand, b: Strand): number => {
  const [first, second] = [a.connection.held, b.connection.held]
  if (first === undefined || second === undefined) return 0
  if (first.label !== second.label) return first.label < second.label ? -1 : 1
  return first.arrival - second.arrival
}

/** One client during one schedule. */
export class Participant<Result> {
  readonly number: number
  readonly lane: Lane
  result: ClientResult<Result> | undefined
  /** It has sent nothing for `patienceMs` and is not done, so it waits for something other than a server. */
  isIdle = false
  readonly #strands = new WeakMap<GatedConnection, Strand>()

  constructor(number: number, lane: Lane) {
    this.number = number
    this.lane = lane
  }

  get isDead(): boolean {
    return this.result?.status === "died"
  }

  strand(connection: GatedConnection): Strand {
    const strand = this.#strands.get(connection) ?? new Strand(connection)
    this.#strands.set(connection, strand)
    return strand
  }

  /** One for each open connection, in the order in which they were opened. */
  get strands(): ReadonlyArray<Strand> {
    return this.lane.connections.map((connection) => this.strand(connection))
  }

  /**
   * The connections whose next step could be released. By step, because a pool may send the same step on another
   * connection the next time.
   */
  get ready(): ReadonlyArray<Strand> {
    const ready = this.isDead ? [] : this.strands.filter(({ isReady }) => isReady)
    return ready.length < 2 ? ready : ready.toSorted(byStep)
  }

  get moving(): ReadonlyArray<Strand> {
    return this.strands.filter(({ isMoving }) => isMoving)
  }

  /** It has no more steps. */
  get isFinished(): boolean {
    const { inFlight, held } = this.lane
    return this.isDead || (this.result !== undefined && !inFlight && held === undefined)
  }

  /** It is about to send a command, to receive a reply or to finish, so the next step cannot be chosen yet. */
  get isBusy(): boolean {
    if (this.isFinished) return false
    if (this.moving.length > 0) return true
    return !this.isIdle && this.ready.length === 0 && !this.lane.inFlight
  }
}
