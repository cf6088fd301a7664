import type { ConnectionView } from "./connection.ts"
import type { Direction, LatencyHandle, LatencyOptions } from "./latency.ts"
import type { CutHow, CutOptions, HoldHandle, RuleHandle, RuleOptions } from "./rules.ts"

export interface FaultProxyOptions {
  readonly upstream: { readonly host: string; readonly port: number }
  /** Under "raw" bytes pass without being understood: rules about commands are refused. */
  readonly protocol: "redis" | "mysql" | "raw"
  /** For jitter and for rules with a chance; 1 unless told. */
  readonly seed?: number | string
  /** Where to listen; a free port of 127.0.0.1 unless told. */
  readonly port?: number
  /** Told of every entry of the log. */
  readonly onLog?: (entry: LogEntry) => void
}

/** Something that the proxy did, in order. */
export interface LogEntry {
  /** Since the proxy was started. */
  readonly atMs: number
  readonly what: string
  readonly detail: string
  readonly connection?: number
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly seed: number | string
  /** A URL of the server (`redis://...`, `mysql://...`), through the proxy. */
  through(url: string): string
  /** Ends the connection of the command that matches, before the server sees it or after it was executed. */
  cut(options: CutOptions): RuleHandle
  /** Holds the command that matches, or its reply, until `release()`. */
  hold(options: RuleOptions): HoldHandle
  latency(options: LatencyOptions): LatencyHandle
  /** Holds all bytes, of new connections too; sockets stay open. */
  freeze(direction?: Direction | "both"): void
  thaw(): void
  /**
   * Turns new connections away until `accept()`. "closed" (the default) accepts and resets them, and so keeps the
   * port; "refused" stops listening, so that another process could take the port meanwhile.
   */
  refuse(how?: "closed" | "refused"): Promise<void>
  accept(): Promise<void>
  /** Kills the server's side of all connections; the clients' sides stay open and are never answered. */
  halfOpen(): void
  /** Ends all connections now; "close" (FIN) unless told. New ones are accepted. */
  cutAll(how?: Exclude<CutHow, "halfOpen">): void
  /** The connections so far (the last 1,000), closed ones included. */
  readonly connections: ReadonlyArray<ConnectionView>
  /** How many commands of this verb came, over all connections ("EVALSHA", "COMMIT"). */
  count(verb: string): number
  /** What the proxy did (the last 10,000 entries). */
  readonly log: ReadonlyArray<LogEntry>
  /** Rules that were to fire and have not, a line each; not those with a `chance` nor those that were taken back. */
  readonly overdue: ReadonlyArray<string>
  /** Ends everything. Rules that still wait fail. */
  close(): Promise<void>
}
