import { Redacted } from "effect"
import type { ServerSettings } from "../../src/config.ts"

/** A test's request to the process that runs its servers. The URL identifies the server. */
export type Command =
  | { readonly do: "start"; readonly settings: string; readonly logLevel: LogLevel }
  | { readonly do: "run job"; readonly url: string; readonly job: string }
  | { readonly do: "stop"; readonly url: string }

export type LogLevel = "None" | "Error" | "Info"

export interface Question {
  readonly id: number
  readonly command: Command
}

/** The URL of a started server, the number of items that a job handled, or an error. */
export interface Reply {
  readonly id: number
  readonly value?: string | number | undefined
  readonly error?: string
}

/** Settings as text, with their secrets: only for our own child process. */
export const encodeSettings = (settings: ServerSettings): string =>
  JSON.stringify(settings, function (this: Record<string, unknown>, name, value) {
    const original = this[name]
    return Redacted.isRedacted(original) ? { secret: Redacted.value(original) } : value
  })

export const decodeSettings = (text: string): ServerSettings =>
  JSON.parse(text, (_name, value) =>
    typeof value?.secret === "string" && Object.keys(value).length === 1 ? Redacted.make(value.secret) : value
  )
