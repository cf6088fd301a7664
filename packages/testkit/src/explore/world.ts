import { pause, withDeadline } from "../internal/promises.ts"
import type { GatedConnection, HeldStep } from "./gate/gated-connection.ts"
import { Lane } from "./gate/lane.ts"
import { Signal } from "./gate/signal.ts"
import { afterTheEnd, dependsOnPatience } from "./uncontrolled.ts"
import { normaliseLabel } from "./labels.ts"
import { LockWaits } from "./lock-waits/lock-waits.ts"
import { Participant } from "./participant.ts"
import type { Pace } from "./quiet.ts"
import type { Scenario } from "./scenario.ts"
import { ScheduleRunner, type ScheduleLimits, type ScheduleRun } from "./schedule-run.ts"
import type { Chooser } from "./strategy/strategy.ts"

/** A schedule that was run and checked. */
export interface Judged<Result> extends ScheduleRun<Result> {
  /** What `check` returned. */
  readonly violation: string | undefined
}

/** Far enough from one that a timer cannot hide in both waits. */
const MORE_PATIENCE = 2.5

/** The clients of a scenario behind their gates, where schedules run one after the other. */
export class World<Connection, Result> {
  readonly #scenario: Scenario<Connection, Result>
  readonly #limits: ScheduleLimits
  readonly #signal: Signal
  readonly #lanes: ReadonlyArray<Lane>
  readonly #connections: Array<Connection> = []
  readonly #lockWaits: LockWaits | undefined
  readonly #gate: Gate
  readonly #uncontrolled = new Set<string>()
  #pace: Pace = "probe"
  #stuckMs: number

  static async open<Connection, Result>(
    scenario: Scenario<Connection, Result>,
    limits: ScheduleLimits
  ): Promise<World<Connection, Result>> {
    const gate: Gate = {
      isHolding: false,
      sqlReplies: 0,
      onReply: () => {},
      onCause: () => {},
      onStep: () => {},
      failure: undefined
    }
    const signal = new Signal()
    const lanes: Array<Lane> = []
    const { sql } = scenario.upstreams
    const lockWaits = sql === undefined ? undefined : await LockWaits.connect(sql)
    const world = new World(scenario, limits, { signal, lanes, lockWaits, gate })
    try {
      for (let client = 0; client < scenario.clients; client++) {
        lanes.push(await openLane(scenario, client, signal, gate))
        await world.#connect(client)
      }
      return world
    } catch (error) {
      await world.close()
      // The client's error only says that its connection was closed; the gate knows why.
      throw gate.failure ?? error
    }
  }

  private constructor(
    scenario: Scenario<Connection, Result>,
    limits: ScheduleLimits,
    parts: {
      readonly signal: Signal
      readonly lanes: ReadonlyArray<Lane>
      readonly lockWaits: LockWaits | undefined
      readonly gate: Gate
    }
  ) {
    this.#scenario = scenario
    this.#limits = limits
    this.#stuckMs = limits.stuckMs
    this.#signal = parts.signal
    this.#lanes = parts.lanes
    this.#lockWaits = parts.lockWaits
    this.#gate = parts.gate
  }

  /** The number of clients and actors. */
  get actors(): number {
    return this.#lanes.length + (this.#scenario.actors?.length ?? 0)
  }

  /** What the schedules do not decide, in sentences. */
  get uncontrolled(): ReadonlyArray<string> {
    return [...this.#uncontrolled]
  }

  /** Waits less for a schedule that is stuck, because one was seen that stays so. */
  hurry(): void {
    this.#stuckMs = Math.min(this.#limits.stuckMs, 2 * this.#limits.patienceMs)
  }

  /** Whether a client with several connections was seen to act later than at once. */
  get isPatient(): boolean {
    return this.#pace === "patient"
  }

  /**
   * Waits for work that the clients have not awaited, and runs the first schedule with more patience. It may turn out that
   * a client needs the pace `patient`; with that pace, a difference means that something is not controlled.
   */
  async lookForTimers(choose: Chooser, first: ReadonlyArray<string>): Promise<void> {
    await pause(this.#limits.patienceMs)
    if (!this.isPatient) {
      this.#pace = "probe"
      await this.run(choose)
      return
    }
    const { patienceMs } = this.#limits
    const { situations } = await this.run(choose, { ...this.#limits, patienceMs: MORE_PATIENCE * patienceMs })
    if (situations.join("\n") !== first.join("\n")) this.#uncontrolled.add(dependsOnPatience(patienceMs))
  }

  /** Runs a schedule that is not judged. It fills script caches, prepares statements and opens lazy connections. */
  async warmUp(choose: Chooser): Promise<ScheduleRun<Result>> {
    const run = await this.run(choose)
    this.#uncontrolled.clear()
    if (this.#pace === "probe") this.#pace = "quick"
    return run
  }

  /** Sets the servers up, runs the schedule that `choose` chooses, and checks the result. */
  async run(choose: Chooser, { patienceMs } = this.#limits): Promise<Judged<Result>> {
    const { setup, run, actors = [] } = this.#scenario
    const late = (client: number, { label }: HeldStep) =>
      void this.#uncontrolled.add(afterTheEnd(client, label))
    this.#gate.onStep = late
    await setup()
    const participants = this.#lanes.map((lane, client) => new Participant<Result>(client, lane))
    const runner = new ScheduleRunner<Result>(
      {
        participants,
        actors,
        signal: this.#signal,
        limits: { ...this.#limits, patienceMs, stuckMs: this.#stuckMs },
        pace: this.#pace,
        onSlow: () => (this.#pace = "patient"),
        onUncontrolled: (what) => void this.#uncontrolled.add(what),
        repliesSeen: () => this.#gate.sqlReplies,
        ...(this.#lockWaits === undefined ? {} : { lockWaits: this.#lockWaits })
      },
      choose
    )
    this.#gate.onReply = (client, connection, reply) => runner.noteReply(client, connection, reply)
    this.#gate.onCause = () => runner.noteCause()
    this.#gate.onStep = (client, step) => runner.noteStep(client, step)
    this.#gate.isHolding = true
    const bodies = participants.map((participant) => {
      const connection = this.#connections[participant.number]
      if (connection === undefined) throw new RangeError(`Client ${participant.number} is not connected.`)
      return this.#follow(participant, async () => run(connection, participant.number))
    })
    const schedule = await runner.run()
    this.#gate.isHolding = false
    this.#gate.onStep = schedule.end === "complete" ? late : () => {}
    if (this.#gate.failure !== undefined) throw this.#gate.failure
    const results = await this.#windUp(participants, bodies)
    this.#gate.onStep = late
    const violation = await this.#judge(schedule, results)
    return { ...schedule, results, violation }
  }

  async close(): Promise<void> {
    try {
      for (const connection of this.#connections) await this.#scenario.disconnect(connection)
    } finally {
      this.#lockWaits?.close()
      await Promise.all(this.#lanes.map((lane) => lane.close()))
    }
  }

  async #connect(client: number): Promise<void> {
    const lane = this.#lanes[client]
    if (lane === undefined) throw new RangeError(`There is no client ${client}.`)
    this.#connections[client] = await this.#scenario.connect(lane.ports, client)
  }

  /** Runs a client's body and records its result, unless the client died first. */
  async #follow(participant: Participant<Result>, body: () => Promise<Result>): Promise<void> {
    const settle = (result: Participant<Result>["result"]) => {
      participant.result ??= result
      this.#gate.onCause()
      this.#signal.notify()
    }
    try {
      settle({ status: "fulfilled", value: await body() })
    } catch (reason) {
      settle({ status: "rejected", reason })
    }
  }

  /** Ends unfinished bodies, and resets or reopens the connections of every client. */
  async #windUp(participants: ReadonlyArray<Participant<Result>>, bodies: ReadonlyArray<Promise<void>>) {
    for (const { lane, isDead } of participants) if (!isDead) lane.letGo()
    const ending = Promise.all(bodies.filter((_, index) => !participants[index]?.isDead))
    await withDeadline(ending, this.#stuckMs, "").catch(() => {})
    // What follows renews the connections, which is not the program's work.
    this.#gate.onStep = () => {}
    await Promise.all(participants.map((participant) => this.#renew(participant)))
    return participants.map(({ result }) => result ?? ({ status: "died" } as const))
  }

  /** Resets the client's connection, or reopens it when it was cut or is still in use. */
  async #renew({ number, isDead, result, lane }: Participant<Result>): Promise<void> {
    const connection = this.#connections[number]
    if (connection === undefined) return
    if (isDead || result === undefined) {
      lane.cut(true)
      await this.#scenario.disconnect(connection)
      lane.letGo()
      await this.#connect(number)
    } else await this.#scenario.reset?.(connection)
  }

  async #judge(
    { end, steps }: ScheduleRun<Result>,
    results: ReadonlyArray<NonNullable<Participant<Result>["result"]>>
  ): Promise<string | undefined> {
    if (end === "truncated") return undefined
    if (end === "stuck") {
      const unanswered = steps.filter(({ toMs }) => toMs === undefined)
      const waiting = unanswered.map(({ name, label }) => `${name} waits for ${quoted(label)}`)
      return `No client can continue: ${waiting.join(", ") || "all wait for something other than a server"}.`
    }
    try {
      return await this.#scenario.check(results)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

/** The state that the lanes share. */
interface Gate {
  isHolding: boolean
  sqlReplies: number
  onReply: (client: number, connection: GatedConnection, reply: string) => void
  onCause: () => void
  onStep: (client: number, step: HeldStep) => void
  failure: unknown
}

/** Replies are only compared, so their beginning suffices. */
const COMPARED_BYTES = 256

const openLane = (
  { upstreams, label: relabel }: Pick<Scenario<unknown, unknown>, "upstreams" | "label">,
  client: number,
  signal: Signal,
  gate: Gate
): Promise<Lane> =>
  Lane.open({
    upstreams,
    signal,
    relabel,
    isHolding: () => gate.isHolding,
    onFailure: (error) => (gate.failure ??= error),
    onStep: (step) => gate.onStep(client, step),
    onDelivery: () => gate.onCause(),
    onReply: (_command, reply, connection) => {
      if (connection.kind === "sql") gate.sqlReplies++
      gate.onReply(client, connection, reply.toString("latin1", 0, COMPARED_BYTES))
    }
  })

const quoted = (label: string): string => `"${normaliseLabel(label)}"`
