import { setImmediate as nextTurn } from "node:timers/promises"
import { CutConnections } from "./cut-connections.ts"
import type { Signal } from "./gate/signal.ts"
import { normaliseLabel } from "./labels.ts"
import type { LockWaits } from "./lock-waits/lock-waits.ts"
import type { Participant } from "./participant.ts"
import type { Actor, ClientResult, ScheduleControl, Step } from "./scenario.ts"
import { situation, type Candidate, type Chooser } from "./strategy/strategy.ts"

export interface ScheduleLimits {
  /** A schedule that is longer is cut off and not judged. */
  readonly maxSteps: number
  /** How long a client may compute between two commands before it counts as waiting for something else. */
  readonly patienceMs: number
  /** How long nothing at all may happen before the schedule counts as stuck. */
  readonly stuckMs: number
}

export interface ScheduleRun<Result> {
  readonly end: "complete" | "truncated" | "stuck"
  readonly steps: ReadonlyArray<Step>
  /** The situation at each choice; see {@link situation}. */
  readonly situations: ReadonlyArray<string>
  readonly results: ReadonlyArray<ClientResult<Result> | undefined>
}

export interface ScheduleParts<Result> {
  readonly participants: ReadonlyArray<Participant<Result>>
  readonly actors: ReadonlyArray<Actor>
  readonly signal: Signal
  readonly lockWaits?: LockWaits
  readonly limits: ScheduleLimits
  /** How many SQL statements were answered so far, over all clients. */
  readonly repliesSeen: () => number
}

/** How often the SQL server is asked who waits for locks. */
const LOCK_POLL_MS = 1

/** Whether a statement may have to wait for somebody else's lock; a plain SELECT, COMMIT and ROLLBACK never do. */
const mayTakeLocks = (sql: string): boolean =>
  !/^(?:COMMIT|ROLLBACK)\b/i.test(sql) &&
  (!/^SELECT\b/i.test(sql) || /\bFOR\s+(?:UPDATE|SHARE)\b|\bSHARE\s+MODE\b|\bGET_LOCK\b/i.test(sql))

/** Runs one schedule: waits until everybody stands still, lets one go, and so on until all are done. */
export class ScheduleRunner<Result> {
  readonly #parts: ScheduleParts<Result>
  readonly #choose: Chooser
  readonly #unfired: Set<number>
  readonly #steps: Array<Step> = []
  readonly #situations: Array<string> = []
  readonly #startedAtMs = performance.now()
  readonly #cutConnections: CutConnections
  /** Number of the latest step that was no poll. */
  #progress = -1
  #certainAtReply = -1

  constructor(parts: ScheduleParts<Result>, choose: Chooser) {
    this.#parts = parts
    this.#choose = choose
    this.#unfired = new Set(parts.actors.keys())
    this.#cutConnections = new CutConnections(parts.lockWaits, parts.limits.stuckMs)
  }

  async run(): Promise<ScheduleRun<Result>> {
    const { limits, participants } = this.#parts
    for (;;) {
      await this.#standstill()
      if (participants.every(({ isFinished }) => isFinished)) return this.#ended("complete")
      const candidates = this.#candidates()
      if (candidates.length === 0) {
        if (await this.#parts.signal.within(limits.stuckMs)) continue
        return this.#ended("stuck")
      }
      if (this.#steps.length >= limits.maxSteps) return this.#ended("truncated")
      await this.#makeStep(candidates)
    }
  }

  #ended(end: "complete" | "truncated" | "stuck"): ScheduleRun<Result> {
    const results = this.#parts.participants.map(({ result }) => result)
    return { end, steps: this.#steps, situations: this.#situations, results }
  }

  /** Resolves when nobody moves any more: everybody is done, stands at the gate, or waits for somebody else. */
  async #standstill(): Promise<void> {
    const { participants, signal, limits } = this.#parts
    let quietMs = 0
    for (;;) {
      this.#doubtOldLockWaits()
      const busy = participants.filter(({ isBusy }) => isBusy)
      if (busy.length === 0) {
        if (await this.#cutAreEnded()) continue
        break
      }
      const inSql = busy.filter(({ lane }) => lane.sqlInFlight)
      if (busy.every(({ lockWait }) => lockWait !== "no")) {
        await this.#lookForLockWaits(busy, quietMs)
        continue
      }
      const waitMs = inSql.length > 0 ? LOCK_POLL_MS : limits.patienceMs - quietMs
      if (await signal.within(waitMs)) {
        quietMs = 0
        continue
      }
      quietMs += waitMs
      if (inSql.length > 0) await this.#lookForLockWaits(inSql, quietMs)
      if (quietMs >= limits.patienceMs) {
        for (const participant of busy) participant.isIdle = !participant.lane.awaitsReply
      }
      if (quietMs >= limits.stuckMs) break
    }
    // Who waits for another client inside the process is woken within a turn or two of the event loop.
    if (participants.some(({ isIdle, isFinished }) => isIdle && !isFinished)) {
      await nextTurn()
      await nextTurn()
    }
  }

  /** Waits until the server has ended what was cut; then locks were given back, and nobody's answer told of it. */
  async #cutAreEnded(): Promise<boolean> {
    const someEnded = await this.#cutConnections.untilEnded()
    if (someEnded) this.#certainAtReply = -1
    return someEnded
  }

  /** A lock may have been granted whenever anybody's statement was answered. */
  #doubtOldLockWaits(): void {
    if (this.#certainAtReply === this.#parts.repliesSeen()) return
    for (const participant of this.#parts.participants) {
      if (participant.lockWait === "certain") participant.lockWait = "doubtful"
    }
  }

  /**
   * Asks the server who waits for locks. That a wait goes on is believed: locks are granted before whoever held them
   * gets an answer. A wait that the server may be about to end, as it does in a deadlock, is none yet; but if it does
   * not end it for so long, it will not (deadlock detection can be turned off).
   */
  async #lookForLockWaits(inSql: ReadonlyArray<Participant<Result>>, quietMs: number): Promise<void> {
    const { lockWaits, repliesSeen, limits } = this.#parts
    const replies = repliesSeen()
    const report = await lockWaits?.report()
    const isLasting = (thread: number) =>
      report?.waiting.has(thread) === true && (!report.deadlocked.has(thread) || quietMs >= limits.patienceMs)
    for (const participant of inSql) {
      const { lockWait, lane } = participant
      const isNew = lockWait === "no" || lockWait === "possible"
      if (!lane.threadIds.some(isLasting)) participant.lockWait = "no"
      else participant.lockWait = isNew && lockWaits?.knowsDeadlocks !== true ? "seen" : "certain"
    }
    this.#certainAtReply = replies
  }

  #candidates(): ReadonlyArray<Candidate> {
    const { participants, actors } = this.#parts
    const ready = participants.filter(({ isReady }) => isReady)
    const useful = ready.filter(({ isPolling, latestStep }) => !isPolling || this.#progress > latestStep)
    const clients = (useful.length > 0 ? useful : ready).map(({ number, lane }): Candidate => {
      return { actor: number, label: normaliseLabel(lane.held?.label ?? "") }
    })
    const others = [...this.#unfired].flatMap((index): Array<Candidate> => {
      const actor = actors[index]
      const possible = actor !== undefined && (actor.when?.(this.#control) ?? true)
      return possible ? [{ actor: participants.length + index, label: actor.name }] : []
    })
    return [...clients, ...others]
  }

  async #makeStep(candidates: ReadonlyArray<Candidate>): Promise<void> {
    const { participants, actors } = this.#parts
    const point = { depth: this.#steps.length, candidates, latest: this.#steps.at(-1)?.actor }
    this.#situations.push(situation(point))
    const chosen = this.#choose(point)
    const participant = participants[chosen]
    const actor = actors[chosen - participants.length]
    if (participant !== undefined) this.#release(participant)
    else if (actor !== undefined) await this.#fire(actor, chosen)
    else throw new RangeError(`There is no client or actor ${chosen}.`)
  }

  #release(participant: Participant<Result>): void {
    const step = this.#steps.length
    if (!participant.isPolling) this.#progress = step
    const { number } = participant
    const label = this.#beginStep(participant, step)
    this.#steps.push({ actor: number, name: `client ${number}`, label, fromMs: this.#nowMs() })
    participant.lane.release()
  }

  /** Makes ready for the participant's next step to be released; gives its label. */
  #beginStep(participant: Participant<Result>, step: number): string {
    const label = participant.lane.held?.label ?? ""
    const othersHaveLocks = this.#parts.participants.some(
      (other) => other !== participant && other.hasUsedSql && !other.isFinished
    )
    const mayWait = participant.lane.isHeldBySql && othersHaveLocks && mayTakeLocks(label)
    participant.beginsStep(label, step, mayWait ? "possible" : "no")
    return label
  }

  async #fire(actor: Actor, number: number): Promise<void> {
    this.#unfired.delete(number - this.#parts.participants.length)
    const step = this.#steps.length
    this.#progress = step
    const fired = { actor: number, name: actor.name, label: actor.name, fromMs: this.#nowMs() }
    this.#steps.push(fired)
    await actor.run(this.#control)
    this.#steps[step] = { ...fired, toMs: this.#nowMs() }
  }

  /** Notes when a client's latest step was answered, and what with. */
  noteReply(client: number, reply: string): void {
    const participant = this.#parts.participants[client]
    participant?.getsReply(reply)
    const step = this.#steps[participant?.latestStep ?? -1]
    if (participant === undefined || step === undefined) return
    this.#steps[participant.latestStep] = { ...step, toMs: this.#nowMs() }
  }

  #nowMs(): number {
    return performance.now() - this.#startedAtMs
  }

  get #control(): ScheduleControl {
    const { participants } = this.#parts
    const steps = this.#steps
    const participant = (client: number): Participant<Result> => {
      const found = participants[client]
      if (found === undefined) throw new RangeError(`There is no client ${client}.`)
      return found
    }
    const cut = async (client: number, refuse: boolean) => {
      const { lane } = participant(client)
      this.#cutConnections.add(lane.threadIds)
      lane.cut(refuse)
      await this.#cutAreEnded()
    }
    return {
      steps,
      held: (client) => participant(client).lane.held?.label,
      cut: (client) => cut(client, false),
      kill: async (client) => {
        participant(client).result = { status: "died" }
        await cut(client, true)
      },
      loseReply: async (client) => {
        const loser = participant(client)
        this.#beginStep(loser, steps.length - 1)
        loser.lane.releaseAndLoseReply((threadIds) => this.#cutConnections.add(threadIds))
        await this.#standstill()
      }
    }
  }
}
