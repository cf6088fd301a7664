import type { Address, Ports } from "./gate/lane.ts"
import type { SqlAddress } from "../services/clients.ts"

/** What is explored: a few clients that do something at the same time, and what must hold afterwards. */
export interface Scenario<Connection, Result> {
  readonly name: string
  /** The real servers. Connections of `setup`, `check` and of actors go there directly. */
  readonly upstreams: { readonly redis?: Address; readonly sql?: SqlAddress }
  readonly clients: number
  /** Opens a client's connections to its own ports; called once per client, and again after it died. */
  readonly connect: (ports: Ports, client: number) => Promise<Connection>
  readonly disconnect: (connection: Connection) => void | Promise<void>
  /** Brings the servers to the same state before every schedule. */
  readonly setup: () => Promise<void>
  /** What a client does. Every command it sends is a step of the schedule. */
  readonly run: (connection: Connection, client: number) => Promise<Result>
  /** Leaves no open transaction on a connection after a schedule, where `run` may. */
  readonly reset?: (connection: Connection) => Promise<void>
  /** What happens besides: time passes, processes die. */
  readonly actors?: ReadonlyArray<Actor>
  /** A sentence about what is wrong, or undefined. A rejection is a violation too. */
  readonly check: (results: ReadonlyArray<ClientResult<Result>>) => Promise<string | undefined>
}

export type ClientResult<Result> =
  | { readonly status: "fulfilled"; readonly value: Result }
  | { readonly status: "rejected"; readonly reason: unknown }
  /** An actor killed it. */
  | { readonly status: "died" }

/**
 * Something that may happen once, at any step, or not at all: when all clients are done it happens no more.
 * Time only passes through actors, so nothing depends on how long anything took.
 */
export interface Actor {
  readonly name: string
  /** Whether it can happen now; fewer moments make fewer schedules. Default: always. */
  readonly when?: (view: ScheduleView) => boolean
  readonly run: (control: ScheduleControl) => Promise<void>
}

/** What an actor sees of the schedule. */
export interface ScheduleView {
  /** Steps so far. */
  readonly steps: ReadonlyArray<Step>
  /** The step a client is about to make, if it stands before one. */
  readonly held: (client: number) => string | undefined
}

/** What an actor can do to clients. */
export interface ScheduleControl extends ScheduleView {
  /** Its process dies: its connections are cut, it cannot connect again, and nobody waits for it. */
  readonly kill: (client: number) => Promise<void>
  /** Its connections are cut; it may connect again. */
  readonly cut: (client: number) => Promise<void>
  /** The step it is about to make takes effect, but instead of the reply its connection is cut. */
  readonly loseReply: (client: number) => Promise<void>
}

/** One step of a schedule. */
export interface Step {
  /** Number of the client, or of an actor behind the clients. */
  readonly actor: number
  /** `client 0`, or the actor's name. */
  readonly name: string
  /** The command, or what the actor is. */
  readonly label: string
  /** Milliseconds since the schedule began. */
  readonly fromMs: number
  /** Absent when it was never answered. */
  readonly toMs?: number
}
