import type { Lane } from "./gate/lane.ts"
import type { ClientResult } from "./scenario.ts"

/**
 * Whether a client's SQL statement waits for a lock. `possible`: another client may hold the lock; `seen`: reported
 * once; `doubtful`: it was certain before another client's statement was answered.
 */
type LockWait = "no" | "possible" | "seen" | "certain" | "doubtful"

/** A repeated command with this many equal replies in a row is a poll. */
const REPLIES_OF_A_POLL = 3

/** One client during one schedule. */
export class Participant<Result> {
  readonly number: number
  readonly lane: Lane
  result: ClientResult<Result> | undefined
  lockWait: LockWait = "no"
  /** It has sent nothing for `patienceMs` and is not done, so it waits for something other than a server. */
  isIdle = false
  /** It has sent a statement to the SQL server, so it may hold locks there. */
  hasUsedSql = false
  /** The number of its latest step. */
  latestStep = -1
  #command: string | undefined
  #reply: string | undefined
  #equalReplies = 0

  constructor(number: number, lane: Lane) {
    this.number = number
    this.lane = lane
  }

  get isDead(): boolean {
    return this.result?.status === "died"
  }

  /** Its next step could be released. */
  get isReady(): boolean {
    return !this.isDead && !this.lane.inFlight && this.lane.held !== undefined
  }

  /** It has no more steps. */
  get isFinished(): boolean {
    return this.isDead || (this.result !== undefined && !this.lane.inFlight && this.lane.held === undefined)
  }

  /** It is about to send a command, to receive a reply or to finish, so the next step cannot be chosen yet. */
  get isBusy(): boolean {
    if (this.isFinished || this.isReady || this.isIdle) return false
    return !(this.lane.inFlight && this.lockWait === "certain")
  }

  /** It repeats a command that keeps returning the same reply, so sending it again is no progress. */
  get isPolling(): boolean {
    return this.#equalReplies >= REPLIES_OF_A_POLL && this.lane.held?.label === this.#command
  }

  beginsStep(label: string, step: number, lockWait: LockWait): void {
    this.lockWait = lockWait
    this.hasUsedSql ||= this.lane.isHeldBySql
    this.isIdle = false
    this.latestStep = step
    if (label !== this.#command) this.#equalReplies = 0
    this.#command = label
  }

  getsReply(reply: string): void {
    this.#equalReplies = reply === this.#reply ? this.#equalReplies + 1 : 1
    this.#reply = reply
  }
}
