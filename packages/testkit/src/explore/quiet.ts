import { setImmediate as nextTurn } from "node:timers/promises"
import type { Signal } from "./gate/signal.ts"
import type { Participant } from "./participant.ts"

/**
 * How long a client with several connections gets to send on another one. `quick`: some turns of the event loop.
 * `probe`: some milliseconds, to see whether that makes a difference. `patient`: `patienceMs`, because it does.
 */
export type Pace = "quick" | "probe" | "patient"

export interface QuietParts {
  readonly participants: ReadonlyArray<Pick<Participant<unknown>, "isDead" | "isIdle" | "lane">>
  readonly signal: Signal
  readonly limits: { readonly patienceMs: number }
  readonly pace: Pace
  /** Called when a client needs the pace `patient`. */
  readonly onSlow: () => void
}

/** A client that got a reply, or woke in the program, sends its next command within fewer turns of the event loop. */
const QUIET_TURNS = 5

/** A client with several connections that takes longer than this may follow a timer. */
const PROBE_MS = 25

/** Tells when nothing more is on its way, and which steps come although nothing has caused them. */
export class Quiet {
  readonly #parts: QuietParts
  /** What has happened to any client: deliveries, ends, and events of actors. */
  #causes = 1
  #causesBefore = 0
  #latestCauseMs = performance.now()

  constructor(parts: QuietParts) {
    this.#parts = parts
  }

  /** A client may react now. */
  noteCause(): void {
    this.#causes++
    this.#latestCauseMs = performance.now()
  }

  /** All clients are at rest now. */
  begins(): void {
    this.#causesBefore = this.#causes
  }

  /**
   * Whether nothing more arrives. A client with several connections may send on one of them while it waits at another,
   * and an idle one may be woken by another client in the program.
   */
  async lasts(): Promise<boolean> {
    const { participants, signal, limits, pace, onSlow } = this.#parts
    const alive = participants.filter(({ isDead }) => !isDead)
    const hasSeveral = alive.some((participant) => this.hasSeveral(participant))
    const maySurprise = hasSeveral || alive.some(({ isIdle }) => isIdle)
    if (!maySurprise || this.#causes === this.#causesBefore) return true
    if (!(await this.#turnsPass())) return false
    if (pace === "quick" || !hasSeveral) return true
    const waitMs = pace === "patient" ? limits.patienceMs : PROBE_MS
    // In a process that was starved of CPU, a client's timer fires with this one, and its command comes after both.
    const isLate = (await signal.within(waitMs)) || !(await this.#turnsPass())
    if (isLate) onSlow()
    return !isLate
  }

  async #turnsPass(): Promise<boolean> {
    const { signal } = this.#parts
    const before = signal.version
    for (let turn = 0; turn < QUIET_TURNS; turn++) {
      await nextTurn()
      if (signal.version !== before) return false
    }
    return true
  }

  hasSeveral(participant: QuietParts["participants"][number] | undefined): boolean {
    return (participant?.lane.connections.length ?? 0) > 1
  }

  /**
   * Whether a step that arrives now comes because a timer or other work decides: all were at rest. A client that may do
   * several things at once, and takes longer than for an answer to a reply, needs the pace `patient`.
   */
  isUncaused(participant: QuietParts["participants"][number] | undefined): boolean {
    if (this.#causes === this.#causesBefore) return true
    if (this.hasSeveral(participant) && performance.now() - this.#latestCauseMs > PROBE_MS)
      this.#parts.onSlow()
    return false
  }
}
