import type { ConnectionView } from "./connection.ts"
import type { Direction, LatencyHandle, LatencyOptions } from "./latency.ts"
import type { CutHow, CutOptions, HoldHandle, RuleHandle, RuleOptions } from "./rules.ts"

/** What the proxy stands in front of. */
export interface FaultProxyOptions {
  /** The real server. */
  readonly upstream: { readonly host: string; readonly port: number }
  /** "raw" passes bytes on without reading them, and refuses rules about commands. */
  readonly protocol: "redis" | "mysql" | "raw"
  /** Seed of jitter and of rules with a `chance`. Default 1. */
  readonly seed?: number | string
  /** The port of 127.0.0.1 to listen on. Default: a free one. */
  readonly port?: number
  /** Receives every entry of the log. */
  readonly onLog?: (entry: LogEntry) => void
}

/** One action of the proxy. */
export interface LogEntry {
  /** Milliseconds since the proxy started. */
  readonly atMs: number
  readonly what: string
  readonly detail: string
  readonly connection?: number
}

/** A proxy that breaks connections on command. Disposing it closes it. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly seed: number | string
  /** A URL of the server (`redis://...`, `mysql://...`), changed to lead through the proxy. */
  through(url: string): string
  /**
   * Ends the connection of the matching command, before the server receives it or after the server executed it.
   *
   * @throws TypeError under protocol "raw"
   */
  cut(options: CutOptions): RuleHandle
  /**
   * Holds the matching command, or its reply, until `release()`.
   *
   * @throws TypeError under protocol "raw"
   */
  hold(options: RuleOptions): HoldHandle
  /**
   * Delays bytes until the handle removes the delay. Several delays add up.
   *
   * @throws TypeError for a `match` under protocol "raw"
   */
  latency(options: LatencyOptions): LatencyHandle
  /** Holds all bytes, also of new connections, and keeps the sockets open. Default "both". */
  freeze(direction?: Direction | "both"): void
  /** Undoes `freeze` in both directions. */
  thaw(): void
  /**
   * Turns new connections away until `accept()`. "closed" (the default) accepts and resets them, which keeps the port;
   * "refused" stops listening, so another process could take the port meanwhile.
   */
  refuse(how?: "closed" | "refused"): Promise<void>
  /** Undoes `refuse`. Rejects when the port was taken meanwhile. */
  accept(): Promise<void>
  /** Closes the server's side of all connections. The clients' sides stay open and are never answered. */
  halfOpen(): void
  /** Ends all connections, by FIN ("close", the default) or RST ("reset"). New ones are accepted. */
  cutAll(how?: Exclude<CutHow, "halfOpen">): void
  /** The last 1,000 connections, including closed ones. */
  readonly connections: ReadonlyArray<ConnectionView>
  /** The number of commands with this verb ("EVALSHA", "COMMIT"), over all connections. */
  count(verb: string): number
  /** The last 10,000 actions of the proxy. */
  readonly log: ReadonlyArray<LogEntry>
  /** Rules that should have fired and have not, one line each; without those that have a `chance` or were removed. */
  readonly overdue: ReadonlyArray<string>
  /** Ends all connections and stops listening. Pending rules reject. */
  close(): Promise<void>
}
