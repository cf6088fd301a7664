import type { Address, Ports } from "./gate/lane.ts"
import type { SqlAddress } from "../services/service.ts"

/** What to explore: a few clients that work at the same time, and what must hold afterwards. */
export interface Scenario<Connection, Result> {
  readonly name: string
  /** The real servers. `setup`, `check` and actors connect to them directly. */
  readonly upstreams: { readonly redis?: Address; readonly sql?: SqlAddress }
  /** The number of clients. They are numbered from 0. */
  readonly clients: number
  /** Opens a client's connections to its ports. Called once per client, and again after the client died. */
  readonly connect: (ports: Ports, client: number) => Promise<Connection>
  readonly disconnect: (connection: Connection) => void | Promise<void>
  /** Brings the servers to the same state before every schedule. */
  readonly setup: () => Promise<void>
  /** What a client does. Every command it sends is a step of the schedule. */
  readonly run: (connection: Connection, client: number) => Promise<Result>
  /** Ends a transaction that `run` may have left open on the connection. Called after every schedule. */
  readonly reset?: (connection: Connection) => Promise<void>
  /**
   * Changes the labels of steps, for a library that draws random values: equal steps need equal labels in every run.
   * UUIDs, digests and timestamps need no such hook.
   */
  readonly label?: (label: string) => string
  /** Other events that may happen at any step: time passes, processes die. */
  readonly actors?: ReadonlyArray<Actor>
  /** Returns what is wrong in one sentence, or undefined. A rejection is a violation, too. */
  readonly check: (results: ReadonlyArray<ClientResult<Result>>) => Promise<string | undefined>
}

/** How a client's `run` ended; "died" when an actor killed the client. */
export type ClientResult<Result> =
  | { readonly status: "fulfilled"; readonly value: Result }
  | { readonly status: "rejected"; readonly reason: unknown }
  | { readonly status: "died" }

/**
 * An event that happens at most once, before any step, as long as a client is running. Time passes only through actors,
 * so the outcome does not depend on how long anything takes.
 */
export interface Actor {
  readonly name: string
  /** Whether the event can happen now. Fewer such moments make fewer schedules. Default: always. */
  readonly when?: (view: ScheduleView) => boolean
  readonly run: (control: ScheduleControl) => Promise<void>
}

/** What an actor sees of the schedule. */
export interface ScheduleView {
  /** The steps so far. */
  readonly steps: ReadonlyArray<Step>
  /** The label of the client's next step, if it is held before one. */
  readonly held: (client: number) => string | undefined
}

/** What an actor can do to clients. */
export interface ScheduleControl extends ScheduleView {
  /** Ends the client's process: its connections are cut, new ones are refused, and its result is "died". */
  readonly kill: (client: number) => Promise<void>
  /** Cuts the client's connections. It may connect again. */
  readonly cut: (client: number) => Promise<void>
  /** Lets the client's next step take effect, but cuts the connection instead of passing the reply on. */
  readonly loseReply: (client: number) => Promise<void>
}

/** One step of a schedule. */
export interface Step {
  /** The number of the client; actors are numbered after the clients. */
  readonly actor: number
  /** `client 0`, or the actor's name. */
  readonly name: string
  /** The command, or the actor's name. */
  readonly label: string
  /** Milliseconds since the schedule began. */
  readonly fromMs: number
  /** Milliseconds since the schedule began; absent when the step was never answered. */
  readonly toMs?: number
}
