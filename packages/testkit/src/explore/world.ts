import { withDeadline } from "../internal/promises.ts"
import { Lane } from "./gate/lane.ts"
import { Signal } from "./gate/signal.ts"
import { normaliseLabel } from "./labels.ts"
import { LockWaits } from "./lock-waits/lock-waits.ts"
import { Participant } from "./participant.ts"
import type { Scenario } from "./scenario.ts"
import { ScheduleRunner, type ScheduleLimits, type ScheduleRun } from "./schedule-run.ts"
import type { Chooser } from "./strategy/strategy.ts"

/** A schedule that was run and checked. */
export interface Judged<Result> extends ScheduleRun<Result> {
  /** What `check` returned. */
  readonly violation: string | undefined
}

/** The clients of a scenario behind their gates, where schedules run one after the other. */
export class World<Connection, Result> {
  readonly #scenario: Scenario<Connection, Result>
  readonly #limits: ScheduleLimits
  readonly #signal: Signal
  readonly #lanes: ReadonlyArray<Lane>
  readonly #connections: Array<Connection> = []
  readonly #lockWaits: LockWaits | undefined
  readonly #gate: Gate

  static async open<Connection, Result>(
    scenario: Scenario<Connection, Result>,
    limits: ScheduleLimits
  ): Promise<World<Connection, Result>> {
    const gate: Gate = { isHolding: false, sqlReplies: 0, onReply: () => {}, failure: undefined }
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
    this.#signal = parts.signal
    this.#lanes = parts.lanes
    this.#lockWaits = parts.lockWaits
    this.#gate = parts.gate
  }

  /** The number of clients and actors. */
  get actors(): number {
    return this.#lanes.length + (this.#scenario.actors?.length ?? 0)
  }

  /** Sets the servers up, runs the schedule that `choose` chooses, and checks the result. */
  async run(choose: Chooser): Promise<Judged<Result>> {
    const { setup, run, actors = [] } = this.#scenario
    await setup()
    const participants = this.#lanes.map((lane, client) => new Participant<Result>(client, lane))
    const runner = new ScheduleRunner<Result>(
      {
        participants,
        actors,
        signal: this.#signal,
        limits: this.#limits,
        repliesSeen: () => this.#gate.sqlReplies,
        ...(this.#lockWaits === undefined ? {} : { lockWaits: this.#lockWaits })
      },
      choose
    )
    this.#gate.onReply = (client, reply) => runner.noteReply(client, reply)
    this.#gate.isHolding = true
    const bodies = participants.map((participant) => {
      const connection = this.#connections[participant.number]
      if (connection === undefined) throw new RangeError(`Client ${participant.number} is not connected.`)
      return this.#follow(participant, async () => run(connection, participant.number))
    })
    const schedule = await runner.run()
    this.#gate.isHolding = false
    if (this.#gate.failure !== undefined) throw this.#gate.failure
    const results = await this.#windUp(participants, bodies)
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
    await withDeadline(ending, this.#limits.stuckMs, "").catch(() => {})
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
  onReply: (client: number, reply: string) => void
  failure: unknown
}

/** Replies are only compared, so their beginning suffices. */
const COMPARED_BYTES = 256

const openLane = (
  { upstreams }: Pick<Scenario<unknown, unknown>, "upstreams">,
  client: number,
  signal: Signal,
  gate: Gate
): Promise<Lane> =>
  Lane.open({
    upstreams,
    signal,
    isHolding: () => gate.isHolding,
    onFailure: (error) => (gate.failure ??= error),
    onReply: (_command, reply, kind) => {
      if (kind === "sql") gate.sqlReplies++
      gate.onReply(client, reply.toString("latin1", 0, COMPARED_BYTES))
    }
  })

const quoted = (label: string): string => `"${normaliseLabel(label)}"`
