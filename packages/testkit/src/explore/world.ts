import { Lane } from "./gate/lane.ts"
import { Signal } from "./gate/signal.ts"
import { normaliseLabel } from "./labels.ts"
import { LockWaits } from "./lock-waits/lock-waits.ts"
import { Participant } from "./participant.ts"
import type { Scenario } from "./scenario.ts"
import { ScheduleRunner, type ScheduleLimits, type ScheduleRun } from "./schedule-run.ts"
import type { Chooser } from "./strategy/strategy.ts"

/** What came of one schedule. */
export interface Judged<Result> extends ScheduleRun<Result> {
  /** What is wrong, or undefined. */
  readonly violation: string | undefined
}

/** The gate, the clients behind it, and the way to run one schedule after the other. */
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
      // What a client says of a connection that we closed does not tell why.
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

  /** Clients and other actors. */
  get actors(): number {
    return this.#lanes.length + (this.#scenario.actors?.length ?? 0)
  }

  /** Sets up, runs the schedule that `choose` chooses, and checks. */
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

  /** Lets a body run and keeps how it ends, unless it died before. */
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

  /** Ends what is unfinished, and gives every client connections that are as good as new. */
  async #windUp(participants: ReadonlyArray<Participant<Result>>, bodies: ReadonlyArray<Promise<void>>) {
    for (const { lane, isDead } of participants) if (!isDead) lane.letGo()
    await within(this.#limits.stuckMs, Promise.all(bodies.filter((_, index) => !participants[index]?.isDead)))
    await Promise.all(participants.map((participant) => this.#renew(participant)))
    return participants.map(({ result }) => result ?? ({ status: "died" } as const))
  }

  /** Resets the client's connection; one that was cut, or is still in use, is opened anew. */
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
      return `Nobody can go on: ${waiting.join(", ") || "all wait for something else than a server"}.`
    }
    try {
      return await this.#scenario.check(results)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

/** What the lanes share: whether to hold, who hears of replies, and why a connection could not be followed. */
interface Gate {
  isHolding: boolean
  sqlReplies: number
  onReply: (client: number, reply: string) => void
  failure: unknown
}

/** A reply is only compared, so its beginning will do. */
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

const within = async (deadlineMs: number, work: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([work, deadline])
  clearTimeout(timer)
}

const quoted = (label: string): string => `"${normaliseLabel(label)}"`
