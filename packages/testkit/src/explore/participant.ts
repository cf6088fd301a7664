import type { Lane } from "./gate/lane.ts"
import type { ClientResult } from "./scenario.ts"

/**
 * Whether a client's SQL statement waits for a lock. `possible`: somebody else has locks that it may run into; `seen`:
 * reported once; `doubtful`: it was certain before somebody else's statement was answered.
 */
export type LockWait = "no" | "possible" | "seen" | "certain" | "doubtful"

/** How many equal replies in a row make a repeated command a poll. */
const REPLIES_OF_A_POLL = 3

/** One client during one schedule. */
export class Participant<Result> {
  readonly number: number
  readonly lane: Lane
  result: ClientResult<Result> | undefined
  lockWait: LockWait = "no"
  /** It neither sends nor is done, and has had its time: it waits for something else than a server. */
  isIdle = false
  /** It has sent a statement to the SQL server, so it may have locks there. */
  hasUsedSql = false
  /** Step number of its latest step. */
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

  /** It is still about to send, to get its answer or to finish; nothing may be decided yet. */
  get isBusy(): boolean {
    if (this.isFinished || this.isReady || this.isIdle) return false
    return !(this.lane.inFlight && this.lockWait === "certain")
  }

  /** It has sent the same command often and always got the same answer: asking again is no progress. */
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
