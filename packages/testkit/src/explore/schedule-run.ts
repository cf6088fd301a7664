import { CutConnections } from "./cut-connections.ts"
import type { Signal } from "./gate/signal.ts"
import { normaliseLabel } from "./labels.ts"
import { ownAccord, severalStatements } from "./uncontrolled.ts"
import type { LockWaits } from "./lock-waits/lock-waits.ts"
import { actorOf, choiceOf } from "./choice.ts"
import type { GatedConnection, HeldStep } from "./gate/gated-connection.ts"
import type { Participant, Strand } from "./participant.ts"
import type { Actor, ClientResult, ScheduleControl, Step } from "./scenario.ts"
import { Quiet, type QuietParts } from "./quiet.ts"
import { situation, type Candidate, type Chooser } from "./strategy/strategy.ts"

/** Limits of one schedule. */
export interface ScheduleLimits {
  /** A longer schedule is cut off and not judged. Default 300. */
  readonly maxSteps: number
  /** How long a client may compute between two commands before it counts as waiting for something else. Default 100. */
  readonly patienceMs: number
  /** How long nothing may happen before the schedule counts as stuck. Default 5,000. */
  readonly stuckMs: number
}

export interface ScheduleRun<Result> {
  readonly end: "complete" | "truncated" | "stuck"
  readonly steps: ReadonlyArray<Step>
  /** The situation at each choice; see {@link situation}. */
  readonly situations: ReadonlyArray<string>
  readonly results: ReadonlyArray<ClientResult<Result> | undefined>
}

interface ScheduleParts<Result> extends QuietParts {
  readonly participants: ReadonlyArray<Participant<Result>>
  readonly actors: ReadonlyArray<Actor>
  readonly signal: Signal
  readonly lockWaits?: LockWaits
  readonly limits: ScheduleLimits
  /** The number of SQL statements answered so far, over all clients. */
  readonly repliesSeen: () => number
  /** Called with what the schedule does not decide. */
  readonly onUncontrolled: (what: string) => void
}

/** The interval at which the SQL server is asked for lock waits. */
const LOCK_POLL_MS = 1

/** Whether a statement may wait for another client's lock. A plain SELECT, COMMIT and ROLLBACK never do. */
const mayTakeLocks = (sql: string): boolean =>
  !/^(?:COMMIT|ROLLBACK)\b/i.test(sql) &&
  (!/^SELECT\b/i.test(sql) || /\bFOR\s+(?:UPDATE|SHARE)\b|\bSHARE\s+MODE\b|\bGET_LOCK\b/i.test(sql))

/** Runs one schedule: waits until no client moves, releases one step, and repeats until all are done. */
export class ScheduleRunner<Result> {
  readonly #parts: ScheduleParts<Result>
  readonly #choose: Chooser
  readonly #unfired: Set<number>
  readonly #steps: Array<Step> = []
  readonly #situations: Array<string> = []
  readonly #startedAtMs = performance.now()
  readonly #cutConnections: CutConnections
  /** The number of the latest step that was not a poll. */
  #progress = -1
  #certainAtReply = -1
  readonly #quiet: Quiet

  constructor(parts: ScheduleParts<Result>, choose: Chooser) {
    this.#parts = parts
    this.#choose = choose
    this.#quiet = new Quiet(parts)
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

  /** Resolves when no client moves: each is done, held at the gate, or waiting for another one. */
  async #standstill(): Promise<void> {
    const { participants, signal, limits } = this.#parts
    let quietMs = 0
    for (;;) {
      this.#doubtOldLockWaits()
      const busy = participants.filter(({ isBusy }) => isBusy)
      if (busy.length === 0) {
        if ((await this.#cutAreEnded()) || !(await this.#quiet.lasts())) continue
        break
      }
      const moving = busy.flatMap((participant) => participant.moving)
      const inSql = moving.filter(({ connection }) => connection.kind === "sql")
      if (busy.every((each) => each.moving.length > 0) && moving.every(({ lockWait }) => lockWait !== "no")) {
        await this.#lookForLockWaits(moving, quietMs)
        continue
      }
      const waitMs = inSql.length > 0 ? LOCK_POLL_MS : limits.patienceMs - quietMs
      if (await signal.within(waitMs)) {
        quietMs = 0
        continue
      }
      quietMs += waitMs
      if (inSql.length > 0) await this.#lookForLockWaits(inSql, quietMs)
      if (quietMs >= limits.patienceMs) for (const participant of busy) this.#losePatience(participant)
      if (quietMs >= limits.stuckMs) break
    }
    this.#quiet.begins()
  }

  #losePatience(participant: Participant<Result>): void {
    if (participant.moving.length === 0) participant.isIdle = !participant.lane.awaitsReply
    for (const strand of participant.moving) strand.isBlocked = !strand.connection.awaitsReply
  }

  /** Waits until the server has ended cut connections. That releases locks without a reply to any client. */
  async #cutAreEnded(): Promise<boolean> {
    const someEnded = await this.#cutConnections.untilEnded()
    if (someEnded) this.#certainAtReply = -1
    return someEnded
  }

  /** Any answered statement may have released a lock, so earlier lock waits are no longer certain. */
  #doubtOldLockWaits(): void {
    if (this.#certainAtReply === this.#parts.repliesSeen()) return
    for (const { strands } of this.#parts.participants) {
      for (const strand of strands) if (strand.lockWait === "certain") strand.lockWait = "doubtful"
    }
  }

  /**
   * Asks the server for lock waits. A known wait that is still reported is certain, because a lock is granted before its
   * previous holder gets a reply. A deadlocked wait does not count, because the server is about to end it, unless it
   * lasts for `patienceMs`: deadlock detection may be off.
   */
  async #lookForLockWaits(inSql: ReadonlyArray<Strand>, quietMs: number): Promise<void> {
    const { lockWaits, repliesSeen, limits } = this.#parts
    const replies = repliesSeen()
    const report = await lockWaits?.report()
    const isLasting = (thread: number) =>
      report?.waiting.has(thread) === true && (!report.deadlocked.has(thread) || quietMs >= limits.patienceMs)
    for (const strand of inSql) {
      const { lockWait, connection } = strand
      const isNew = lockWait === "no" || lockWait === "possible"
      if (connection.threadId === undefined || !isLasting(connection.threadId)) strand.lockWait = "no"
      else strand.lockWait = isNew && lockWaits?.knowsDeadlocks !== true ? "seen" : "certain"
    }
    this.#certainAtReply = replies
  }

  #candidates(): ReadonlyArray<Candidate> {
    const { participants, actors } = this.#parts
    const ready = participants.flatMap(({ number, ready }) =>
      ready.map((strand, connection) => ({ strand, actor: choiceOf(number, connection) }))
    )
    const useful = ready.filter(({ strand }) => !strand.isPolling || this.#progress > strand.latestStep)
    const clients = (useful.length > 0 ? useful : ready).map(({ strand, actor }): Candidate => {
      return { actor, label: normaliseLabel(strand.connection.held?.label ?? "") }
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
    const participant = participants[actorOf(chosen)]
    const strand = participant?.ready.find(
      (_, connection) => choiceOf(participant.number, connection) === chosen
    )
    const actor = actors[chosen - participants.length]
    if (participant !== undefined && strand !== undefined) this.#release(participant, strand, chosen)
    else if (actor !== undefined) await this.#fire(actor, chosen)
    else throw new RangeError(`There is no client or actor ${chosen}.`)
  }

  #release(participant: Participant<Result>, strand: Strand, actor: number): void {
    const step = this.#steps.length
    if (!strand.isPolling) this.#progress = step
    const label = this.#beginStep(participant, strand, step)
    this.#steps.push({ actor, name: `client ${participant.number}`, label, fromMs: this.#nowMs() })
    strand.connection.release()
  }

  /** Prepares the connection for the release of its next step, and returns the step's label. */
  #beginStep(participant: Participant<Result>, strand: Strand, step: number): string {
    const label = strand.connection.held?.label ?? ""
    const othersHaveLocks = this.#parts.participants.some(
      ({ strands, isFinished }) =>
        !isFinished && strands.some((other) => other !== strand && other.hasUsedSql)
    )
    const mayWait = strand.connection.kind === "sql" && othersHaveLocks && mayTakeLocks(label)
    participant.isIdle = false
    strand.beginsStep(label, step, mayWait ? "possible" : "no")
    return label
  }

  async #fire(actor: Actor, number: number): Promise<void> {
    this.#unfired.delete(number - this.#parts.participants.length)
    const step = this.#steps.length
    this.#progress = step
    this.#quiet.noteCause()
    const fired = { actor: number, name: actor.name, label: actor.name, fromMs: this.#nowMs() }
    this.#steps.push(fired)
    await actor.run(this.#control)
    this.#steps[step] = { ...fired, toMs: this.#nowMs() }
  }

  /** Records the time and the text of the reply to a connection's latest step. */
  noteReply(client: number, connection: GatedConnection, reply: string): void {
    const participant = this.#parts.participants[client]
    if (participant === undefined) return
    participant.isIdle = false
    const strand = participant.strand(connection)
    strand.getsReply(reply)
    const step = this.#steps[strand.latestStep]
    if (step !== undefined) this.#steps[strand.latestStep] = { ...step, toMs: this.#nowMs() }
  }

  /** Records that a client may react: it got something from a server, or another client ended. */
  noteCause(): void {
    this.#quiet.noteCause()
  }

  /** Records that a step has arrived. */
  noteStep(client: number, step: HeldStep): void {
    const { participants, actors, onUncontrolled } = this.#parts
    const others = participants.length > 1
    const hasOrder = others || actors.length > 0 || this.#quiet.hasSeveral(participants[client])
    if (hasOrder && this.#quiet.isUncaused(participants[client]))
      onUncontrolled(ownAccord(client, step.label))
    if (step.kind === "sql" && others) severalStatements(client, step.label).forEach(onUncontrolled)
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
        const [first] = loser.ready
        if (first !== undefined) this.#beginStep(loser, first, steps.length - 1)
        loser.lane.releaseAndLoseReply((threadIds) => this.#cutConnections.add(threadIds))
        await this.#standstill()
      }
    }
  }
}
